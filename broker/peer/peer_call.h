// One unary call of the peer service at the leader.
#pragma once

#include <chrono>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/peer/leader_link.h"
#include "broker/peer/leader_status.h"
#include "werkplek/v1/peer.grpc.pb.h"

namespace werkplek {

// `done` is called once, on a thread of gRPC's.
template <typename Request, typename Response>
class PeerCall final : public LeaderCall {
 public:
  using Method = void (v1::PeerService::StubInterface::async_interface::*)(
      grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>);
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  PeerCall(Request request, Done done) : request_(std::move(request)), done_(std::move(done)) {}

  void Abandon() override { context_.TryCancel(); }

  static void Begin(const std::shared_ptr<PeerCall>& call, LeaderLink::Lease lease, Method method,
                    absl::Duration limit) {
    call->lease_ = std::move(lease);
    call->stub_ = v1::PeerService::NewStub(call->lease_.channel());
    call->context_.set_deadline(std::chrono::system_clock::now() +
                                absl::ToChronoMilliseconds(limit));
    (call->stub_->async()->*method)(&call->context_, &call->request_, &call->response_,
                                    [call](const grpc::Status& status) { call->Ended(status); });
  }

 private:
  void Ended(const grpc::Status& status) {
    if (status.ok()) return done_(std::move(response_));
    done_(LeaderStatus(status, context_));
  }

  LeaderLink::Lease lease_;
  std::unique_ptr<v1::PeerService::Stub> stub_;
  grpc::ClientContext context_;
  const Request request_;
  Response response_;
  Done done_;
};

}  // namespace werkplek
