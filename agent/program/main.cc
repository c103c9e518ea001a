// werkplek-agent: runs a host's desktops for the broker, and lets viewers in by ticket.
#include <string>
#include <utility>

#include "agent/program/agent_config.h"
#include "agent/program/agent_program.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/program/machine_main.h"

namespace werkplek {
namespace {

absl::StatusOr<StartProgram> Load(const std::string& file) {
  ASSIGN_OR_RETURN(AgentConfig config, LoadAgentConfig(file, AgentConfigCheck::kWhole));
  SetLogSeverity(config.log_severity);
  return [config = std::move(config)]() mutable -> absl::StatusOr<RunningProgram> {
    return AgentProgram::Start(std::move(config));
  };
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  return werkplek::MachineMain(
      {.word = "agent",
       .description = "Werkplek's agent: runs a host's desktops for the broker.",
       .footer = "Without a command, it serves until SIGTERM; desktops run on afterwards.",
       .identity = werkplek::v1::IDENTITY_HOST,
       .added_with = "werkplekctl host add",
       .folder = "/var/lib/werkplek-agent/certificate",
       .load = werkplek::Load},
      argc, argv);
}
