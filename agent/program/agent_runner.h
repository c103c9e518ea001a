// The agent around one hypervisor: its loop, its relay and its link to the broker, joined, and
// taken apart so that nobody calls what has gone.
#pragma once

#include <grpcpp/security/credentials.h>

#include <future>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/display/display_service.h"
#include "agent/link/broker_link.h"
#include "agent/program/agent_loop.h"
#include "common/metrics/metrics.h"

namespace werkplek {

// What a runner is built from; all that is pointed to outlives it.
struct AgentRunnerParts {
  // Without relays, the relay's addresses are told, with the ports that they got.
  AgentSettings settings;
  std::string host;
  // New at each start of the agent, and at each boot of the machine.
  std::string agent_run;
  std::string boot_id;
  // Read at the start, written whenever a newer epoch is seen.
  std::string epoch_file;
  // When the leader was last heard, for the next run of this boot.
  std::string heard_file;
  // Overlays are made here: its free space is reported.
  std::string data_folder;
  Executor* executor = nullptr;
  Hypervisor* hypervisor = nullptr;
  ImageFunctions images;
  // Blocking; empty: there are none.
  std::function<std::vector<std::string>()> check_storages;
  std::function<std::vector<std::string>()> check_networks;
  FollowingContext* relay_tls = nullptr;
  RelayOptions relay;
  BrokerLinkSettings link;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  Metrics* metrics = nullptr;
};

class AgentRunner {
 public:
  // Opens the relay's port and begins. Errors name the part.
  static absl::StatusOr<std::unique_ptr<AgentRunner>> Start(AgentRunnerParts parts);
  // Ends the link and the displays, and waits for operations that run; desktops run on. The
  // executor must still run. Not from its thread.
  ~AgentRunner();
  AgentRunner(const AgentRunner&) = delete;
  AgentRunner& operator=(const AgentRunner&) = delete;

  int relay_port() const { return display_->ports().front(); }
  // Connections that the relay closed at once since there were too many.
  uint64_t turned_away() const { return display_->turned_away(); }

 private:
  // What tasks on the executor hold of the runner: empty before it is whole and once it goes.
  struct Life {
    AgentRunner* runner = nullptr;
  };

  explicit AgentRunner(AgentRunnerParts parts);
  absl::Status Build();
  std::unique_ptr<AgentLoop> NewLoop(AgentCore core);
  // Sets the life's runner, on the executor, and waits for it.
  void SetLife(AgentRunner* runner);

  const AgentRunnerParts parts_;
  const std::shared_ptr<Life> life_ = std::make_shared<Life>();
  std::unique_ptr<DisplayService> display_;
  std::unique_ptr<AgentLoop> loop_;
  std::unique_ptr<BrokerLink> link_;
};

}  // namespace werkplek
