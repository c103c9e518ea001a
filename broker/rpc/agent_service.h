// The service for agents, and the renewal of every machine's certificate.
#pragma once

#include "broker/rpc/attach_stream.h"
#include "broker/rpc/rpc_functions.h"
#include "broker/rpc/settings.h"
#include "broker/rpc/unary.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {

class AgentRpc final : public v1::AgentService::CallbackService {
 public:
  AgentRpc(const ServiceParts& parts, const RpcSettings& settings, GrpcAgentLinks* links,
           RenewCertificateFunction renew_certificate);

  grpc::ServerBidiReactor<v1::AgentReport, v1::AgentCommand>* Attach(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const v1::RenewCertificateRequest* request,
                                             v1::RenewCertificateResponse* response) override;

 private:
  const ServiceParts parts_;
  RateLimit report_rate_;
  const AttachStream::Parts attach_;
  const RenewCertificateFunction renew_certificate_;
};

}  // namespace werkplek
