// A thousand agents without hypervisors: real streams with certificates of their own, reports each
// second, commands obeyed in memory.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

struct FleetStoreSettings {
  std::string file;
  int desktops = 0;
  int hosts = 0;
};
// Makes the store of a broker that has this fleet.
absl::Status MakeFleetStore(const FleetStoreSettings& settings);

struct AgentLoadSettings {
  // The folder with the brokers' `ca.pem` and `ca.key`.
  std::string authority;
  // "ADDRESS:PORT" of each broker's port for agents.
  std::vector<std::string> brokers;
  int desktops = 0;
  int hosts = 0;
  absl::Duration interval = absl::Seconds(1);
};
// Writes the line `ready` when all agents call; reports until the standard input ends.
// `{"reports": ..., "heard": ..., "links": ...}`: what was
// sent, how many the brokers acknowledged, how often a stream was opened that was heard.
absl::StatusOr<std::string> RunAgentLoad(const AgentLoadSettings& settings);

}  // namespace werkplek
