#include "broker/rpc/gateway_service.h"

#include "broker/core/gateway_views.h"
#include "common/base/monotonic.h"

namespace werkplek {

grpc::ServerUnaryReactor* GatewayRpc::AnnounceGateway(grpc::CallbackServerContext* context,
                                                      const v1::AnnounceGatewayRequest* request,
                                                      v1::AnnounceGatewayResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       if (admitted.picture == nullptr) return call->End(NotInCharge());
                       const absl::Status put =
                           book_->Put(admitted.caller.peer, asked, MonotonicNow());
                       if (!put.ok()) return call->End(put);
                       call->Answer(v1::AnnounceGatewayResponse());
                     });
}

grpc::ServerUnaryReactor* GatewayRpc::FindDisplay(grpc::CallbackServerContext* context,
                                                  const v1::FindDisplayRequest* request,
                                                  v1::FindDisplayResponse* response) {
  return HandleRead(parts_, context, request, response);
}

}  // namespace werkplek
