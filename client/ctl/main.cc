// werkplekctl: the program of the admins.
#include <unistd.h>

#include <iostream>

#include "absl/time/clock.h"
#include "client/api/client_config.h"
#include "client/api/renewal.h"
#include "client/ctl/program.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/process_tls.h"

namespace {

absl::StatusOr<werkplek::ClientConfig> ReadConfig(const std::string& given) {
  ASSIGN_OR_RETURN(const std::string path,
                   werkplek::FindClientConfig(given, "admin.yaml", "admin.yaml"));
  return werkplek::LoadClientConfig(path);
}

absl::StatusOr<std::vector<werkplek::BrokerEndpoint>> Connect(const std::string& given) {
  ASSIGN_OR_RETURN(const werkplek::ClientConfig config, ReadConfig(given));
  return werkplek::OpenBrokers(config);
}

absl::Status Renew(const std::string& given) {
  ASSIGN_OR_RETURN(const werkplek::ClientConfig config, ReadConfig(given));
  return werkplek::RenewIfDue(config, absl::Now());
}

}  // namespace

int main(int argc, char** argv) {
  if (const absl::Status tls = werkplek::RequireTls13InThisProcess(); !tls.ok()) {
    std::cerr << "werkplekctl: " << tls.message() << "\n";
    return static_cast<int>(werkplek::ExitCode::kLocal);
  }
  werkplek::SetLogSeverity(werkplek::Severity::kError);
  werkplek::Terminal terminal(STDIN_FILENO, std::cerr);
  const werkplek::CtlPorts ports{
      .terminal = terminal,
      .out = std::cout,
      .err = std::cerr,
      .connect = Connect,
      .token_file = [] { return werkplek::TokenFile::For("werkplekctl"); },
      .renew = Renew,
      .now = [] { return absl::Now(); },
      .retries = {},
  };
  return static_cast<int>(werkplek::RunCtl({argv + 1, argv + argc}, ports));
}
