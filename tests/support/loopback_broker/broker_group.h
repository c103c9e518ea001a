// Several brokers in the test's process over one store: real gRPC servers with real certificates on
// loopback ports, real nodes and cores. The test says who leads.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "broker/node/broker_node.h"
#include "broker/peer/leader_link.h"
#include "broker/rpc/grpc_server.h"
#include "grpcpp/channel.h"
#include "tests/support/fake_directory.h"
#include "tests/support/loopback_broker/loopback_broker.h"
#include "tests/support/loopback_broker/test_channel.h"
#include "tests/support/pki/test_pki.h"

namespace werkplek {

struct GroupOptions {
  size_t brokers = 2;
  RpcSettings rpc;
  std::vector<LoopbackPerson> people;
  // False: everybody needs a code, as whoever comes through a gateway always does; those below have
  // a seed.
  bool token_waived = true;
  std::vector<std::string> enrolled;
  PasswordLimits passwords;
};

// Brokers are "b1", "b2", ... and numbered from 0.
class BrokerGroup {
 public:
  // Returns once the first leads and the others can ask it. Any failure ends the test program.
  explicit BrokerGroup(GroupOptions options);
  ~BrokerGroup();
  BrokerGroup(const BrokerGroup&) = delete;
  BrokerGroup& operator=(const BrokerGroup&) = delete;

  // This one leads from now on; returns when it does, and the others can ask it.
  void Elect(size_t broker);
  // Nobody leads; returns when all know.
  void ElectNobody();
  // What the broker hears about who leads, whatever is true.
  void Hears(size_t broker, const LeaderInfo& leader);
  // It takes no more connections.
  void StopServer(size_t broker);
  // Its ports are closed, as when its process has ended. Not to be asked for its server afterwards.
  void ClosePorts(size_t broker);

  TestPki& pki();
  BrokerNode& node(size_t broker);
  LeaderLink& link(size_t broker);
  // What the broker said of leaders, by epoch.
  std::vector<std::pair<uint64_t, LeaderSign>> SeenBy(size_t broker) const;
  GrpcServer& server(size_t broker);
  LeaderInfo info(size_t broker) const;
  // The code of a person who is enrolled. Good for one sign-in.
  std::string CodeNow(const std::string& user) const;
  // How often the broker asked its directory to judge a password.
  int AskedDirectory(size_t broker);
  // What each broker's directory says instead of the truth; kOk: the truth.
  void SetOutage(size_t broker, DirectoryOutcome outcome);

  // A new connection of its own to the broker's port for people, or for agents.
  std::shared_ptr<grpc::Channel> AtClientPort(size_t broker, const TlsFiles& files);
  std::shared_ptr<grpc::Channel> AtAgentPort(size_t broker, const TlsFiles& files);

  // Signs a person in; the code may be empty.
  static absl::StatusOr<std::string> SignIn(const std::shared_ptr<grpc::Channel>& channel,
                                            const std::string& user, const std::string& code = "",
                                            const std::string& request_id = "",
                                            const std::string& password = "");

 private:
  struct Broker;
  struct Parts;
  void RunOnLoop(absl::FunctionRef<void()> task);
  void WaitFor(const char* what, absl::FunctionRef<bool()> done);

  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
