#include "broker/rpc/agent_service.h"

#include <utility>

#include "broker/rpc/refused_stream.h"

namespace werkplek {

AgentRpc::AgentRpc(const ServiceParts& parts, const RpcSettings& settings, GrpcAgentLinks* links,
                   RenewCertificateFunction renew_certificate)
    : parts_(parts),
      report_rate_(settings.agent_reports),
      attach_{.node = parts.node,
              .links = links,
              .gate = parts.gate,
              .report_rate = &report_rate_,
              .max_waiting = settings.max_waiting_commands},
      renew_certificate_(std::move(renew_certificate)) {}

grpc::ServerBidiReactor<v1::AgentReport, v1::AgentCommand>* AgentRpc::Attach(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<Admitted> admitted = parts_.gate->Admit(*context, v1::AgentReport::descriptor());
  // Agents speak to the leader only, and hear here who it is.
  if (admitted.ok() && parts_.leader != nullptr && admitted->picture == nullptr) {
    admitted = NotLeading(parts_.leader->leader());
  }
  if (!admitted.ok()) {
    return new RefusedStream<grpc::ServerBidiReactor<v1::AgentReport, v1::AgentCommand>>(
        context, admitted.status());
  }
  return AttachStream::Begin(attach_, context, *std::move(admitted));
}

grpc::ServerUnaryReactor* AgentRpc::RenewCertificate(grpc::CallbackServerContext* context,
                                                     const v1::RenewCertificateRequest* request,
                                                     v1::RenewCertificateResponse* response) {
  return HandleUnary(parts_, context, request, response,
                     [this](const Admitted& admitted, const auto& asked, const auto& call) {
                       // Whether the present certificate was revoked is not known yet.
                       if (admitted.picture == nullptr) return call->End(NotInCharge());
                       renew_certificate_(admitted.caller, asked,
                                          [call](auto made) { call->Answer(std::move(made)); });
                     });
}

}  // namespace werkplek
