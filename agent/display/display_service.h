// Viewers at this host: asks the core about each ticket, opens the display of those that are let
// in, and tells the core as they come and go.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/agent_effect.h"
#include "agent/core/agent_event.h"
#include "agent/hypervisor/hypervisor.h"
#include "common/base/executor.h"
#include "common/base/worker_pool.h"
#include "common/relay/relay_server.h"

namespace werkplek {

class DisplayService {
 public:
  // Everything outlives the service. `sink` takes events for the core, on the executor.
  struct Parts {
    Executor* executor = nullptr;
    Hypervisor* hypervisor = nullptr;
    FollowingContext* tls = nullptr;
    std::function<void(const AgentEvent&)> sink;
  };

  // Displays that may be opening at once, and wait for it.
  static constexpr int kOpening = 4;
  static constexpr size_t kMaxWaiting = 128;

  // Listens at once. Errors name the address.
  static absl::StatusOr<std::unique_ptr<DisplayService>> Start(RelayOptions options, Parts parts);
  // Cuts every display. Not from the executor's thread.
  ~DisplayService();
  DisplayService(const DisplayService&) = delete;
  DisplayService& operator=(const DisplayService&) = delete;

  // What the core decided. On the executor.
  void Answer(const agent::AnswerTicket& answer);
  void Close(const agent::CloseDisplay& close);

  // In the order of the relay's addresses.
  std::vector<int> ports() const { return server_->ports(); }
  // Connections that were closed at once since there were too many.
  uint64_t turned_away() const { return server_->turned_away(); }

 private:
  // A connection that waits for the core's word.
  struct Asking {
    std::string desktop;
    DisplayKind kind = DisplayKind::kSpice;
    std::function<void(RelayVerdict)> answer;
  };
  // Shared with tasks on the executor, which may come after the service.
  struct Shared;

  explicit DisplayService(Parts parts);

  std::shared_ptr<Shared> shared_;
  std::unique_ptr<WorkerPool> opening_;
  std::unique_ptr<RelayServer> server_;
};

// The status and the line for a ticket that does not open a display.
RelayVerdict RefusalOf(agent::TicketAnswer answer);

}  // namespace werkplek
