// One unary call that is answered later, from any thread, exactly once.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/rpc/pending_calls.h"
#include "broker/rpc/rpc_status.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace werkplek {

// The first answer counts: the handler's, the end of the time, the caller's cancellation or the
// server's stop. Later ones do nothing.
template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor, public PendingCall {
 public:
  // `context` and `response` are gRPC's, valid until the call is done; `pending` outlives the call.
  static std::shared_ptr<UnaryCall> Begin(PendingCalls* pending,
                                          grpc::CallbackServerContext* context,
                                          Response* response) {
    std::shared_ptr<UnaryCall> call(new UnaryCall(pending, context, response));
    call->self_ = call;
    pending->Add(call, &call->handle_);
    return call;
  }

  void Answer(const Response& response) {
    if (!Claim()) return;
    *response_ = response;
    Finish(grpc::Status::OK);
  }

  void Answer(Response&& response) {
    if (!Claim()) return;
    response_->Swap(&response);
    Finish(grpc::Status::OK);
  }

  void Answer(absl::StatusOr<Response> response) {
    if (response.ok()) return Answer(*std::move(response));
    End(response.status());
  }

  // The node answers with shared messages whose type its request implies.
  void Answer(const absl::StatusOr<std::shared_ptr<const google::protobuf::Message>>& response) {
    if (!response.ok()) return End(response.status());
    const auto* typed = dynamic_cast<const Response*>(response->get());
    if (typed == nullptr) return End(absl::InternalError("an answer of another type"));
    Answer(*typed);
  }

  void End(const absl::Status& status) override {
    if (!Claim()) return;
    Finish(ToGrpc(status, context_));
  }

  void OnCancel() override { End(absl::CancelledError("the caller did not wait")); }
  void OnDone() override { const std::shared_ptr<UnaryCall> last = std::move(self_); }

 private:
  UnaryCall(PendingCalls* pending, grpc::CallbackServerContext* context, Response* response)
      : pending_(pending), context_(context), response_(response) {}

  // Not of gRPC's API, but virtual: OnDone and OnCancel may run where the news came, without waking
  // another thread for them. They do not wait, and OnDone only lets go.
  bool InternalInlineable() override { return true; }

  bool Claim() {
    if (answered_.exchange(true)) return false;
    pending_->Remove(handle_);
    return true;
  }

  PendingCalls* const pending_;
  grpc::CallbackServerContext* const context_;
  Response* const response_;
  std::atomic<bool> answered_{false};
  PendingCalls::Handle handle_;
  // gRPC's own hold on this object, let go in OnDone.
  std::shared_ptr<UnaryCall> self_;
};

}  // namespace werkplek
