// What two hypervisors do while a desktop moves from one to the other: it takes time, goes on
// without the agent that asked for it, and fails before, midway, or as far as anybody here can
// tell.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "agent/core/agent_operation.h"

namespace werkplek::sim {

class Machine;
class World;

// `told` gets what Hypervisor::Migrate would answer; once at most, never when the machine loses its
// power before.
void MoveLive(World& world, Machine& from, const Operation& operation,
              std::function<void(absl::Status)> told);

}  // namespace werkplek::sim
