// The agent, built from its parts and taken down again.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "agent/program/agent_config.h"

namespace werkplek {

class AgentProgram {
 public:
  // Builds the parts in order and serves. Errors say which part and what to do; whatever was built
  // before is then gone again. The process must be hardened (common/program/hardening.h) before.
  static absl::StatusOr<std::unique_ptr<AgentProgram>> Start(AgentConfig config);
  // Takes the parts down in reverse. Displays are cut; desktops run on.
  ~AgentProgram();
  AgentProgram(const AgentProgram&) = delete;
  AgentProgram& operator=(const AgentProgram&) = delete;

 private:
  struct Parts;
  explicit AgentProgram(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
