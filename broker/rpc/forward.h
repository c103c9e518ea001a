// Calls that a broker which does not lead makes at the leader for its own callers: the method, its
// messages and its status as they are, with who called beside them.
//
// The calls at the leader take over the deadline of the callers' calls, and end when those end.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "broker/peer/leader_link.h"
#include "broker/peer/leader_status.h"
#include "broker/peer/peer_messages.h"
#include "broker/rpc/gate.h"
#include "broker/rpc/refused_stream.h"
#include "broker/rpc/rpc_status.h"
#include "broker/rpc/unary_call.h"
#include "common/base/mutex.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/client_callback.h"
#include "grpcpp/support/server_callback.h"

namespace werkplek {

// The context of the call at the leader.
inline std::unique_ptr<grpc::ClientContext> ContextAtLeader(
    const grpc::CallbackServerContext& context, const Admitted& admitted) {
  auto forwarded = grpc::ClientContext::FromCallbackServerContext(context);
  forwarded->AddMetadata(kForwardedCallerKey, ToForwarded(admitted.caller).SerializeAsString());
  return forwarded;
}

template <typename Request, typename Response>
class ForwardedUnary final : public LeaderCall {
 public:
  // Answers `call` with what the leader answers.
  static void Begin(LeaderLink* link, const grpc::CallbackServerContext& context,
                    const Admitted& admitted, const Request& request,
                    std::shared_ptr<UnaryCall<Response>> call) {
    const std::shared_ptr<ForwardedUnary> self(
        new ForwardedUnary(ContextAtLeader(context, admitted), request, std::move(call)));
    absl::StatusOr<LeaderLink::Lease> lease = link->Open(LeaderPort::kClients, self);
    if (!lease.ok()) return self->call_->End(lease.status());
    self->lease_ = *std::move(lease);
    grpc::TemplatedGenericStub<Request, Response> stub(self->lease_.channel());
    stub.UnaryCall(self->context_.get(), admitted.method->path, grpc::StubOptions(),
                   &self->request_, &self->response_,
                   [self](const grpc::Status& status) { self->Ended(status); });
  }

  void Abandon() override { context_->TryCancel(); }

 private:
  ForwardedUnary(std::unique_ptr<grpc::ClientContext> context, const Request& request,
                 std::shared_ptr<UnaryCall<Response>> call)
      : context_(std::move(context)), request_(request), call_(std::move(call)) {}

  void Ended(const grpc::Status& status) {
    if (status.ok()) return call_->Answer(std::move(response_));
    call_->End(LeaderStatus(status, *context_));
  }

  LeaderLink::Lease lease_;
  const std::unique_ptr<grpc::ClientContext> context_;
  const Request request_;
  Response response_;
  const std::shared_ptr<UnaryCall<Response>> call_;
};

// A stream from the leader, message by message: the next is read when the one before is written.
template <typename Request, typename Update>
class ForwardedStream final : public LeaderCall {
 public:
  // The stream to the caller.
  static grpc::ServerWriteReactor<Update>* Begin(LeaderLink* link,
                                                 grpc::CallbackServerContext* context,
                                                 const Admitted& admitted, const Request& request) {
    const std::shared_ptr<ForwardedStream> self(
        new ForwardedStream(context, ContextAtLeader(*context, admitted), request));
    absl::StatusOr<LeaderLink::Lease> lease = link->Open(LeaderPort::kClients, self);
    if (!lease.ok()) {
      return new RefusedStream<grpc::ServerWriteReactor<Update>>(context, lease.status());
    }
    self->lease_ = *std::move(lease);
    self->down_.self = self;
    self->up_.self = self;
    grpc::TemplatedGenericStub<Request, Update> stub(self->lease_.channel());
    stub.PrepareBidiStreamingCall(self->context_.get(), admitted.method->path, grpc::StubOptions(),
                                  &self->up_);
    self->up_.StartWriteLast(&self->request_, grpc::WriteOptions());
    self->up_.StartRead(&self->update_);
    self->up_.StartCall();
    return &self->down_;
  }

  void Abandon() override { context_->TryCancel(); }

 private:
  // To the caller.
  struct Down final : public grpc::ServerWriteReactor<Update> {
    explicit Down(ForwardedStream* stream) : owner(stream) {}
    void OnWriteDone(bool ok) override {
      // The hold keeps the stream from the leader open until its end is dealt with here.
      if (ok) owner->up_.StartRead(&owner->update_);
      if (!ok) owner->context_->TryCancel();
      owner->up_.RemoveHold();
    }
    void OnCancel() override { owner->context_->TryCancel(); }
    void OnDone() override { const std::shared_ptr<ForwardedStream> last = std::move(self); }

    ForwardedStream* const owner;
    std::shared_ptr<ForwardedStream> self;
  };
  // From the leader.
  struct Up final : public grpc::ClientBidiReactor<Request, Update> {
    explicit Up(ForwardedStream* stream) : owner(stream) {}
    void OnReadDone(bool ok) override {
      if (!ok) return;
      this->AddHold();
      owner->down_.StartWrite(&owner->update_);
    }
    void OnDone(const grpc::Status& status) override {
      const std::shared_ptr<ForwardedStream> last = std::move(self);
      owner->down_.Finish(ToGrpc(LeaderStatus(status, *owner->context_), owner->server_context_));
    }

    ForwardedStream* const owner;
    std::shared_ptr<ForwardedStream> self;
  };

  ForwardedStream(grpc::CallbackServerContext* server_context,
                  std::unique_ptr<grpc::ClientContext> context, const Request& request)
      : server_context_(server_context),
        context_(std::move(context)),
        request_(request),
        down_(this),
        up_(this) {}

  LeaderLink::Lease lease_;
  grpc::CallbackServerContext* const server_context_;
  const std::unique_ptr<grpc::ClientContext> context_;
  const Request request_;
  Update update_;
  Down down_;
  Up up_;
};

}  // namespace werkplek
