// The service for people: copies the request, posts it to the node, returns.
#pragma once

#include "broker/rpc/gateway_book.h"
#include "broker/rpc/settings.h"
#include "broker/rpc/unary.h"
#include "common/base/rate_limit.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

class SessionRpc final : public v1::SessionService::CallbackService {
 public:
  SessionRpc(const ServiceParts& parts, const RpcSettings& settings, GatewayBook* gateways);

  grpc::ServerUnaryReactor* SignIn(grpc::CallbackServerContext* context,
                                   const v1::SignInRequest* request,
                                   v1::SignInResponse* response) override;
  grpc::ServerUnaryReactor* ListPools(grpc::CallbackServerContext* context,
                                      const v1::ListPoolsRequest* request,
                                      v1::ListPoolsResponse* response) override;
  grpc::ServerWriteReactor<v1::ConnectUpdate>* Connect(grpc::CallbackServerContext* context,
                                                       const v1::ConnectRequest* request) override;
  grpc::ServerUnaryReactor* Disconnect(grpc::CallbackServerContext* context,
                                       const v1::DisconnectRequest* request,
                                       v1::DisconnectResponse* response) override;
  grpc::ServerUnaryReactor* EndSession(grpc::CallbackServerContext* context,
                                       const v1::EndSessionRequest* request,
                                       v1::EndSessionResponse* response) override;
  grpc::ServerUnaryReactor* SignOut(grpc::CallbackServerContext* context,
                                    const v1::SignOutRequest* request,
                                    v1::SignOutResponse* response) override;

 private:
  // RESOURCE_EXHAUSTED when the machine tries to sign people in too often.
  absl::Status CheckSignInRate(const Caller& caller);

  const ServiceParts parts_;
  GatewayBook* const gateways_;
  const size_t max_waiting_updates_;
  RateLimit machine_sign_ins_;
  RateLimit gateway_sign_ins_;
};

}  // namespace werkplek
