#include "broker/rpc/session_service.h"

#include "broker/rpc/connect_stream.h"
#include "broker/rpc/refused_stream.h"
#include "common/base/monotonic.h"

namespace werkplek {

SessionRpc::SessionRpc(const ServiceParts& parts, const RpcSettings& settings,
                       GatewayBook* gateways)
    : parts_(parts),
      gateways_(gateways),
      max_waiting_updates_(settings.max_waiting_connect_updates),
      machine_sign_ins_(settings.machine_sign_ins),
      gateway_sign_ins_(settings.gateway_sign_ins) {}

absl::Status SessionRpc::CheckSignInRate(const Caller& caller) {
  RateLimit& limit =
      caller.identity == v1::IDENTITY_GATEWAY ? gateway_sign_ins_ : machine_sign_ins_;
  const absl::Duration wait = limit.Take(caller.peer, MonotonicNow());
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  return WithRetryAfter(
      absl::ResourceExhaustedError("too many sign-ins from this machine; try again in a moment"),
      wait);
}

grpc::ServerUnaryReactor* SessionRpc::SignIn(grpc::CallbackServerContext* context,
                                             const v1::SignInRequest* request,
                                             v1::SignInResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       if (absl::Status rate = CheckSignInRate(admitted.caller); !rate.ok()) {
                         parts_.gate->LogRefusal(admitted, rate);
                         return call->End(rate);
                       }
                       parts_.node->SignIn(admitted.caller, asked,
                                           [call](const auto& answer) { call->Answer(answer); });
                     });
}

grpc::ServerUnaryReactor* SessionRpc::ListPools(grpc::CallbackServerContext* context,
                                                const v1::ListPoolsRequest* request,
                                                v1::ListPoolsResponse* response) {
  return HandleRead(parts_, context, request, response);
}

grpc::ServerWriteReactor<v1::ConnectUpdate>* SessionRpc::Connect(
    grpc::CallbackServerContext* context, const v1::ConnectRequest* request) {
  const absl::StatusOr<Admitted> admitted =
      parts_.gate->Admit(*context, v1::ConnectRequest::descriptor());
  if (!admitted.ok()) {
    return new RefusedStream<grpc::ServerWriteReactor<v1::ConnectUpdate>>(context,
                                                                          admitted.status());
  }
  if (admitted->elsewhere) {
    return ForwardedStream<v1::ConnectRequest, v1::ConnectUpdate>::Begin(parts_.leader, context,
                                                                         *admitted, *request);
  }
  return ConnectStream::Begin(parts_.node, gateways_, context, admitted->caller, *request,
                              max_waiting_updates_);
}

grpc::ServerUnaryReactor* SessionRpc::Disconnect(grpc::CallbackServerContext* context,
                                                 const v1::DisconnectRequest* request,
                                                 v1::DisconnectResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* SessionRpc::EndSession(grpc::CallbackServerContext* context,
                                                 const v1::EndSessionRequest* request,
                                                 v1::EndSessionResponse* response) {
  return HandleChange(parts_, context, request, response);
}

grpc::ServerUnaryReactor* SessionRpc::SignOut(grpc::CallbackServerContext* context,
                                              const v1::SignOutRequest* request,
                                              v1::SignOutResponse* response) {
  return HandleChange(parts_, context, request, response);
}

}  // namespace werkplek
