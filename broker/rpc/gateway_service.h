// The service for gateways.
#pragma once

#include "broker/rpc/gateway_book.h"
#include "broker/rpc/unary.h"
#include "werkplek/v1/gateway.grpc.pb.h"

namespace werkplek {

class GatewayRpc final : public v1::GatewayService::CallbackService {
 public:
  // `book` outlives the service.
  GatewayRpc(const ServiceParts& parts, GatewayBook* book) : parts_(parts), book_(book) {}

  grpc::ServerUnaryReactor* AnnounceGateway(grpc::CallbackServerContext* context,
                                            const v1::AnnounceGatewayRequest* request,
                                            v1::AnnounceGatewayResponse* response) override;
  grpc::ServerUnaryReactor* FindDisplay(grpc::CallbackServerContext* context,
                                        const v1::FindDisplayRequest* request,
                                        v1::FindDisplayResponse* response) override;

 private:
  const ServiceParts parts_;
  GatewayBook* const book_;
};

}  // namespace werkplek
