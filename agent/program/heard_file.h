// When the leader was last heard, kept over restarts of the agent, not of the machine: a new run
// judges by the deadline of the run before.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "agent/core/agent_core.h"

namespace werkplek {

// What a run of this boot saved; HeardState{} (never heard) when there is none, or it is damaged.
HeardState ReadHeardFile(const std::string& path, const std::string& boot_id);

// Whole or not at all for whoever reads it on this boot. A power cut may lose it: then the boot is
// another one.
absl::Status WriteHeardFile(const std::string& path, const std::string& boot_id,
                            const HeardState& heard);

}  // namespace werkplek
