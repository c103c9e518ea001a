// What can happen to an agent. Time comes beside an event.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "agent/core/agent_operation.h"
#include "agent/hypervisor/hypervisor.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {
namespace agent {

struct CommandReceived {
  v1::AgentCommand command;
};

// The answer to ListDomains{id}. `domains` is complete when `status` is OK, with those that could
// not be read.
struct DomainsObserved {
  uint64_t id = 0;
  absl::Status status;
  std::vector<DomainInfo> domains;
};

// The answer to one StartOperation.
struct OperationDone {
  OperationResult result;
};

// A hint: something changed there.
struct DomainChanged {
  HypervisorEvent event;
};

// The answer to PersistEpoch{epoch}: OK means it is on disk.
struct EpochPersisted {
  uint64_t epoch = 0;
  absl::Status status;
};

// A viewer asks for a display, over a connection that showed a client certificate. Answered by
// AnswerTicket{channel}.
struct TicketPresented {
  // Names this connection; unique within one run of an agent.
  uint64_t channel = 0;
  std::string desktop;
  // 32 bytes each.
  std::string ticket_sha256;
  std::string certificate_sha256;
  // Made by the viewer, the same for all channels of one display.
  std::string viewer;
};

// A granted channel reached the display.
struct DisplayOpened {
  uint64_t channel = 0;
};

// A granted channel ended, whether it ever opened or not. Comes once for each granted channel.
struct DisplayClosed {
  uint64_t channel = 0;
};

struct LinkUp {};
struct LinkDown {};

// What images are at hand; comes once at the start, later with OperationDone.
struct ImagesKnown {
  std::vector<v1::ImageReport> images;
};

// The answer to ReadStats. Without a load (the reading failed), the last one stands.
struct StatsRead {
  absl::Status status;
  v1::HostLoad load;
};

// The answer to CheckStorages: the names of those at hand, in byte order.
struct StoragesChecked {
  std::vector<std::string> names;
};

// The answer to CheckNetworks: the names of those at hand, in byte order.
struct NetworksChecked {
  std::vector<std::string> names;
};

// The answer to SaveHeard.
struct HeardSaved {
  absl::Status status;
};

// Time passed.
struct Tick {};

}  // namespace agent

using AgentEvent =
    std::variant<agent::CommandReceived, agent::DomainsObserved, agent::OperationDone,
                 agent::DomainChanged, agent::EpochPersisted, agent::TicketPresented,
                 agent::DisplayOpened, agent::DisplayClosed, agent::LinkUp, agent::LinkDown,
                 agent::ImagesKnown, agent::StatsRead, agent::StoragesChecked,
                 agent::NetworksChecked, agent::HeardSaved, agent::Tick>;

}  // namespace werkplek
