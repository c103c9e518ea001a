// Runs an agent's core: events in on one loop, effects out to bounded pools, answers back as
// events.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/core/agent_core.h"
#include "agent/operation/run_operation.h"
#include "common/base/executor.h"

namespace werkplek {

// What a loop is built from. All outlive the loop; the functions are called on the executor and
// must not block, except where it says so.
struct AgentLoopParts {
  Executor* executor = nullptr;
  Hypervisor* hypervisor = nullptr;
  ImageFunctions images;
  // Blocking.
  std::function<absl::Status(uint64_t epoch)> persist_epoch;
  std::function<absl::StatusOr<v1::HostLoad>()> read_load;
  std::function<absl::Status(const HeardState& heard)> save_heard;
  // The shared storages at hand, by name, in byte order.
  std::function<std::vector<std::string>()> check_storages;
  // The networks at hand, likewise.
  std::function<std::vector<std::string>()> check_networks;
  std::function<void(v1::AgentReport report)> send_report;
  std::function<void(const agent::AnswerTicket& answer)> answer_ticket;
  std::function<void(const agent::CloseDisplay& close)> close_display;
  std::function<void(const agent::Counted& counted)> count;
};

class AgentLoop {
 public:
  // `settings` bounds the pools as well as the core.
  AgentLoop(const AgentSettings& settings, AgentCore core, AgentLoopParts parts);
  // Waits for the operations that run; domains run on. Not from the executor's thread.
  ~AgentLoop();
  AgentLoop(const AgentLoop&) = delete;
  AgentLoop& operator=(const AgentLoop&) = delete;

  // Lists the images and the domains, then obeys. Images that nobody needs go beside that.
  void Start();
  // From any thread. After the destructor began, nothing happens.
  void Post(AgentEvent event);

 private:
  struct Gate;
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace werkplek
