// werkplek-gateway: passes displays on to people who cannot reach the hosts.
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/program/machine_main.h"
#include "gateway/program/gateway_config.h"
#include "gateway/program/gateway_program.h"

namespace werkplek {
namespace {

absl::StatusOr<StartProgram> Load(const std::string& file) {
  ASSIGN_OR_RETURN(GatewayConfig config, LoadGatewayConfig(file));
  SetLogSeverity(config.log_severity);
  return [config = std::move(config)]() mutable -> absl::StatusOr<RunningProgram> {
    return GatewayProgram::Start(std::move(config));
  };
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  return werkplek::MachineMain(
      {.word = "gateway",
       .description =
           "Werkplek's gateway: passes displays on to people who cannot reach the hosts.",
       .footer = "Without a command, it serves until SIGTERM.",
       .identity = werkplek::v1::IDENTITY_GATEWAY,
       .added_with = "werkplekctl gateway add",
       .folder = "/var/lib/werkplek-gateway/certificate",
       .load = werkplek::Load},
      argc, argv);
}
