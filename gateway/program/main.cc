// werkplek-gateway: passes displays on to people who cannot reach the hosts.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "common/http/join_client.h"
#include "common/program/hardening.h"
#include "common/program/program_end.h"
#include "common/program/watchdog.h"
#include "gateway/program/gateway_config.h"
#include "gateway/program/gateway_program.h"

namespace werkplek {
namespace {

int Tell(const absl::Status& status) { return ExitCode("werkplek-gateway", status); }

// Until SIGTERM or SIGINT.
int Serve(GatewayConfig config) {
  const EndSignals signals;
  const auto program = GatewayProgram::Start(std::move(config));
  if (!program.ok()) return Tell(program.status());
  TellSystemd("READY=1");
  const int signal = signals.Wait();
  Log(Severity::kInfo, "gateway-stopping", {{"signal", std::to_string(signal)}});
  return 0;
}

struct Arguments {
  std::string config;
  std::string url;
  std::string code;
  std::string ca_sha256;
  std::string out = "/etc/werkplek/gateway";
};

int Join(const Arguments& arguments) {
  std::string code = arguments.code;
  if (code == "-") {
    // For those who share this machine with others, who see each other's arguments.
    std::cerr << "Join code: " << std::flush;
    std::getline(std::cin, code);
  }
  JoinTerms terms;
  terms.url = arguments.url;
  terms.code = Secret(std::move(code));
  terms.ca_sha256 = arguments.ca_sha256;
  terms.identity = v1::IDENTITY_GATEWAY;
  terms.folder = arguments.out;
  const absl::StatusOr<TlsFiles> files = JoinOverHttps(terms);
  if (!files.ok()) return Tell(files.status());
  std::cout << "joined; certificate " << files->certificate << ", key " << files->key
            << ", authority " << files->ca << "\n";
  return 0;
}

int Run(const CLI::App& app, const Arguments& arguments) {
  if (app.got_subcommand("join")) return Join(arguments);
  if (arguments.config.empty()) {
    std::cerr << "werkplek-gateway: --config FILE is missing\n";
    return kExitUsage;
  }
  absl::StatusOr<GatewayConfig> config = LoadGatewayConfig(arguments.config);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadConfig;
  }
  SetLogSeverity(config->log_severity);
  if (app.got_subcommand("check-config")) {
    std::cout << arguments.config << ": good\n";
    return 0;
  }
  return Serve(*std::move(config));
}

int Main(int argc, char** argv) {
  if (const absl::Status status = HardenProcess(); !status.ok()) return Tell(status);
  Arguments arguments;
  CLI::App app("Werkplek's gateway: passes displays on to people who cannot reach the hosts.");
  app.set_version_flag("--version", "werkplek-gateway " WERKPLEK_VERSION);
  app.add_option("--config", arguments.config, "The configuration file (YAML)");
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.footer("Without a command, it serves until SIGTERM.");
  app.add_subcommand("check-config", "Judge the configuration and everything it names, then end");
  CLI::App* join = app.add_subcommand(
      "join", "Get this gateway's first certificate, with what `werkplekctl gateway add` printed");
  join->add_option("URL", arguments.url, "https://BROKER:PORT/v1/join")->required();
  join->add_option("CODE", arguments.code, "The code, which works once; - asks for it")->required();
  join->add_option("CA-SHA256", arguments.ca_sha256, "The authority's SHA-256")->required();
  join->add_option("--out", arguments.out, "The folder for the files")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? 0 : kExitUsage;
  }
  return Run(app, arguments);
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) { return werkplek::Main(argc, argv); }
