// The broker's gRPC side: one listener for people and admins, one for agents.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/core/settings.h"
#include "broker/node/broker_node.h"
#include "broker/peer/leader_link.h"
#include "broker/rpc/acceptor.h"
#include "broker/rpc/agent_links.h"
#include "broker/rpc/gate.h"
#include "broker/rpc/rpc_functions.h"
#include "broker/rpc/settings.h"
#include "grpcpp/security/server_credentials.h"

namespace werkplek {

// What the services are built from. All outlive the server.
struct RpcParts {
  BrokerNode* node = nullptr;
  // The node's AgentLinks.
  GrpcAgentLinks* links = nullptr;
  // GrpcServerCredentials of common/tls/grpc_credentials.h, in a process that called
  // RequireTls13InThisProcess.
  std::shared_ptr<grpc::ServerCredentials> credentials;
  // The node's settings, for judging sign-ins as the core does.
  BrokerSettings broker;
  std::function<absl::Time()> now;
  AddJoinCodeFunction add_join_code;
  RenewCertificateFunction renew_certificate;
  // May be empty.
  RpcObserver observe;
  // The way to the broker that leads, when it is not this one; nullptr: this is the only broker.
  LeaderLink* leader = nullptr;
};

// Thread-safe after Start.
class GrpcServer {
 public:
  // Listens and serves. INVALID_ARGUMENT or UNAVAILABLE names the address that cannot be had.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const RpcSettings& settings,
                                                           RpcParts parts);
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  int client_port() const;
  int agent_port() const;
  // For metrics.
  AcceptorCounts client_connections() const;
  AcceptorCounts agent_connections() const;
  // Unary calls that wait for an answer.
  size_t calls_waiting() const;

  // Takes no more connections and ends every call (UNAVAILABLE). Call it before the node stops.
  // Returns when no call is left. Idempotent.
  void Stop();

 private:
  struct Parts;
  explicit GrpcServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
