// werkplek: the program of the employees, on thin clients and laptops.
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/time/clock.h"
#include "client/api/renewal.h"
#include "client/login/display.h"
#include "client/login/program.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/tls/process_tls.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

absl::StatusOr<ClientConfig> ReadConfig(const std::string& given) {
  ASSIGN_OR_RETURN(const std::string path, FindClientConfig(given));
  return LoadClientConfig(path);
}

absl::Status Show(const ClientConfig& config, Language language, const v1::Ready& ready,
                  const DisplayChoice& choice) {
  const absl::StatusOr<TlsMaterial> own = LoadTlsFiles(config.tls, absl::Now());
  if (!own.ok()) return LocalProblem(own.status(), LocalCause::kCertificate);
  const DisplayPorts ports{
      .viewer = config.viewer,
      .open_relay =
          [&own](RelayTarget target) { return RelayClient::Create(*own, std::move(target)); },
      .out = std::cout,
      .language = language,
      .gateways = choice.outside ? GatewayUse::kAlways : config.gateways,
  };
  return ShowDisplay(ports, ready, choice);
}

int Main(const std::vector<std::string>& arguments) {
  if (const absl::Status tls = RequireTls13InThisProcess(); !tls.ok()) {
    std::cerr << "werkplek: " << tls.message() << "\n";
    return static_cast<int>(ExitCode::kLocal);
  }
  // A viewer that goes away is seen by its closed socket.
  signal(SIGPIPE, SIG_IGN);
  SetLogSeverity(Severity::kError);
  Terminal terminal(STDIN_FILENO, std::cerr);
  const LoginPorts ports{
      .terminal = terminal,
      .out = std::cout,
      .err = std::cerr,
      .live_width = TerminalWidth(STDERR_FILENO),
      .variable =
          [](const char* name) {
            const char* value = std::getenv(name);
            return std::string(value == nullptr ? "" : value);
          },
      .config = ReadConfig,
      .connect = OpenBrokers,
      .token_file = [] { return TokenFile::For("werkplek"); },
      .renew = [](const ClientConfig& config) { return RenewIfDue(config, absl::Now()); },
      .show_display = Show,
      .now = [] { return absl::Now(); },
      .sleep = absl::SleepFor,
      .retries = {},
  };
  return static_cast<int>(RunLogin(arguments, ports));
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) { return werkplek::Main({argv + 1, argv + argc}); }
