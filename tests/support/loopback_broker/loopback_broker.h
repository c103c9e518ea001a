// A whole broker in the test's process: the real gRPC server with real certificates on loopback
// ports, the real node and core, and fakes behind their ports.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "broker/node/broker_node.h"
#include "broker/rpc/grpc_server.h"
#include "broker/rpc/settings.h"
#include "grpcpp/channel.h"
#include "tests/support/loopback_broker/test_channel.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {

// A person of the directory. The password is "pw-" and the name.
struct LoopbackPerson {
  std::string user;
  // Beside employee, which everybody is.
  v1::Role role = v1::ROLE_EMPLOYEE;
};

struct LoopbackOptions {
  RpcSettings rpc;
  std::vector<LoopbackPerson> people;
  // Those who have codes, for sign-ins through gateways; others need none.
  std::vector<std::string> enrolled;
  // How long the directory thinks.
  absl::Duration directory_delay = absl::Milliseconds(1);
};

class LoopbackBroker {
 public:
  // Returns once the broker leads. Any failure ends the test program.
  explicit LoopbackBroker(LoopbackOptions options = {});
  ~LoopbackBroker();
  LoopbackBroker(const LoopbackBroker&) = delete;
  LoopbackBroker& operator=(const LoopbackBroker&) = delete;

  TestPki& pki();
  BrokerNode& node();
  GrpcServer& server();

  // A new connection of its own as this machine, to the port for people or for agents.
  std::shared_ptr<grpc::Channel> AtClientPort(v1::Identity identity, const std::string& name);
  std::shared_ptr<grpc::Channel> AtAgentPort(v1::Identity identity, const std::string& name);
  std::shared_ptr<grpc::Channel> AtClientPort(const TlsFiles& files);

  // Of the certificate that the broker shows to a new connection; empty: there was none.
  std::string ServedCertificateSha256();

  // The access token of a person who signs in over this connection; the code may be empty.
  absl::StatusOr<std::string> SignIn(const std::shared_ptr<grpc::Channel>& channel,
                                     const std::string& user, const std::string& code = "");
  // The code of a person who is enrolled. Good for one sign-in.
  std::string CodeNow(const std::string& user) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
