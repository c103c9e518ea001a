// What the agent's core wants done.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "agent/core/agent_operation.h"
#include "common/base/log.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {
namespace agent {

// Run it in a worker pool; answer with OperationDone.
struct StartOperation {
  Operation operation;
};

// List every domain; answer with DomainsObserved of the same id.
struct ListDomains {
  uint64_t id = 0;
};

// Write the epoch to disk, durably; answer with EpochPersisted.
struct PersistEpoch {
  uint64_t epoch = 0;
};

// Read the host's load; answer with StatsRead.
struct ReadStats {};

// See which of the configured storages are at hand; answer with StoragesChecked.
struct CheckStorages {};

// See which of the configured networks are at hand; answer with NetworksChecked.
struct CheckNetworks {};

// When the leader was last heard, and what that is worth (see HeardState). Write it where the next
// run of this boot finds it; answer with HeardSaved.
struct SaveHeard {
  absl::Duration heard_at;
  absl::Duration fence_after;
};

// Send on the link, replacing a report that still waits there.
struct SendReport {
  v1::AgentReport report;
};

enum class TicketAnswer {
  kGranted,
  // No such desktop on this host.
  kNoDesktop,
  // No such ticket for this desktop.
  kUnknown,
  kUsed,
  kLate,
  // The ticket is another certificate's.
  kOtherCertificate,
  kTooManyChannels,
  // The desktop does not run.
  kNotRunning,
};

// Answers TicketPresented.
struct AnswerTicket {
  uint64_t channel = 0;
  TicketAnswer answer = TicketAnswer::kUnknown;
};

// Cut these granted channels, now. Each still ends with DisplayClosed.
struct CloseDisplay {
  std::string desktop;
  std::vector<uint64_t> channels;
};

struct LogEvent {
  Severity severity = Severity::kInfo;
  std::string event;
  std::vector<std::pair<std::string, std::string>> fields;
};

// One more of something: ("refused_commands", "old-epoch"), ("tickets", "used"), ...
struct Counted {
  std::string what;
  std::string label;
};

}  // namespace agent

using AgentEffect =
    std::variant<agent::StartOperation, agent::ListDomains, agent::PersistEpoch, agent::ReadStats,
                 agent::SendReport, agent::AnswerTicket, agent::CloseDisplay, agent::LogEvent,
                 agent::Counted, agent::CheckStorages, agent::CheckNetworks, agent::SaveHeard>;

// Effects are run in order. A Tick is wanted at `wake_at` (on the clock that Apply is given), or
// sooner.
struct AgentDecision {
  std::vector<AgentEffect> effects;
  absl::Duration wake_at = absl::InfiniteDuration();
};

}  // namespace werkplek
