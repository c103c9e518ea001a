// The service for the other brokers, at the leader.
#pragma once

#include "broker/rpc/unary.h"
#include "werkplek/v1/peer.grpc.pb.h"

namespace werkplek {

class PeerRpc final : public v1::PeerService::CallbackService {
 public:
  explicit PeerRpc(const ServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* Greet(grpc::CallbackServerContext* context,
                                  const v1::GreetRequest* request,
                                  v1::GreetResponse* response) override;
  grpc::ServerUnaryReactor* GetEnrolment(grpc::CallbackServerContext* context,
                                         const v1::GetEnrolmentRequest* request,
                                         v1::GetEnrolmentResponse* response) override;
  grpc::ServerUnaryReactor* SubmitSignIn(grpc::CallbackServerContext* context,
                                         const v1::SubmitSignInRequest* request,
                                         v1::SubmitSignInResponse* response) override;

 private:
  const ServiceParts parts_;
};

}  // namespace werkplek
