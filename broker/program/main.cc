// werkplek-broker: signs people in, gives them desktops, drives the agents.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "broker/program/broker_config.h"
#include "broker/program/broker_program.h"
#include "broker/program/commands.h"
#include "broker/program/store_transfer.h"
#include "common/config/units.h"
#include "common/program/hardening.h"
#include "common/program/program_end.h"
#include "common/program/watchdog.h"

namespace werkplek {
namespace {

// Longer than an election and a load take; the ports are open meanwhile.
constexpr absl::Duration kLeads = absl::Seconds(15);

int Tell(const absl::Status& status) { return ExitCode("werkplek-broker", status); }

// Until SIGTERM or SIGINT.
int Serve(BrokerConfig config) {
  const EndSignals signals;
  const auto program = BrokerProgram::Start(std::move(config));
  if (!program.ok()) return Tell(program.status());
  // Whoever starts after this broker may call it at once.
  if (!(*program)->WaitUntilLeading(kLeads)) {
    Log(Severity::kWarning, "not-leading-yet", {{"after", DurationText(kLeads)}});
  }
  TellSystemd("READY=1");
  const int signal = signals.Wait();
  Log(Severity::kInfo, "broker-stopping", {{"signal", std::to_string(signal)}});
  return 0;
}

struct Arguments {
  std::string config;
  IssueTerms issue;
  std::string lifetime;
  std::string user;
  std::string store_file;
  std::optional<uint64_t> epoch;
};

// Of the commands that are about a whole store; nullopt: it is none of them.
std::optional<absl::Status> RunStoreCommand(const CLI::App& app, const StoreConfig& store,
                                            const std::string& warning,
                                            const Arguments& arguments) {
  const std::string& file = arguments.store_file;
  if (app.got_subcommand("store-export")) return ExportStore(store, file, std::cout);
  if (app.got_subcommand("store-import")) return ImportStore(store, file, std::cout);
  if (app.got_subcommand("store-backup")) return BackUpStore(store, file, std::cout);
  if (!app.got_subcommand("store-restore")) return std::nullopt;
  // In place of a store that works there would be one that the service may not open.
  if (!warning.empty()) return absl::FailedPreconditionError(warning);
  return RestoreStore(store, file, {arguments.epoch, absl::Now()}, std::cout);
}

int RunCommand(const CLI::App& app, Arguments& arguments) {
  const bool form_only = app.got_subcommand("init");
  absl::StatusOr<BrokerConfig> config =
      LoadBrokerConfig(arguments.config, form_only ? ConfigCheck::kForm : ConfigCheck::kWhole);
  if (!config.ok()) {
    std::cerr << config.status().message() << "\n";
    return kExitBadConfig;
  }
  SetLogSeverity(config->log_severity);
  std::string warning;
  if (!app.get_subcommands().empty()) warning = WrongAccountWarning(*config, geteuid());
  const bool refused = app.got_subcommand("store-restore");
  if (!warning.empty() && !refused) std::cerr << "werkplek-broker: " << warning << "\n";
  if (app.got_subcommand("check-config")) {
    std::cout << arguments.config << ": good\n";
    return 0;
  }
  if (app.got_subcommand("init")) return Tell(InitBroker(*config, std::cout));
  if (app.got_subcommand("issue")) {
    if (!arguments.lifetime.empty()) {
      const absl::StatusOr<absl::Duration> lifetime = ParseDurationText(arguments.lifetime);
      if (!lifetime.ok()) {
        std::cerr << "--lifetime: " << lifetime.status().message() << "\n";
        return kExitUsage;
      }
      arguments.issue.lifetime = *lifetime;
    }
    return Tell(IssueCertificate(*config, arguments.issue, std::cout));
  }
  if (app.got_subcommand("enrol-first-admin")) {
    return Tell(EnrolFirstAdmin(*config, arguments.user, std::cout));
  }
  const auto done = RunStoreCommand(app, config->store, warning, arguments);
  if (done.has_value()) return Tell(*done);
  return Serve(*std::move(config));
}

void AddStoreCommands(CLI::App& app, Arguments& arguments) {
  const auto write = [&](const char* name, const char* what) {
    app.add_subcommand(name, what)
        ->add_option("--to", arguments.store_file, "The file to make; it holds secrets")
        ->required();
  };
  const auto read = [&](const char* name, const char* what) {
    CLI::App* command = app.add_subcommand(name, what);
    command->add_option("--from", arguments.store_file, "The file to read")->required();
    return command;
  };
  write("store-backup", "Write the whole store to a file, also while a broker uses it");
  read("store-restore", "Put a backup in the store's place, while no broker uses it")
      ->add_option("--epoch", arguments.epoch, "Above all that hosts have seen; seldom needed");
  write("store-export", "Write the whole store, while no broker uses it, to a file to move it");
  read("store-import", "Fill an empty store from such a file");
}

int Main(int argc, char** argv) {
  if (const absl::Status status = HardenProcess(); !status.ok()) return Tell(status);
  Arguments arguments;
  CLI::App app("Werkplek's broker: signs people in, gives them desktops, drives the agents.");
  app.set_version_flag("--version", "werkplek-broker " WERKPLEK_VERSION);
  app.add_option("--config", arguments.config, "The configuration file (YAML)")->required();
  app.fallthrough();
  app.require_subcommand(0, 1);
  app.footer("Without a command, it serves until SIGTERM.");
  app.add_subcommand("check-config", "Judge the configuration and everything it names, then end");
  app.add_subcommand("init",
                     "Make the authority, the broker's certificate, the sealing key and the store");
  CLI::App* issue = app.add_subcommand("issue", "Make a key and a certificate for a machine");
  issue->add_option("--identity", arguments.issue.identity, "client, host, gateway, admin, broker")
      ->required();
  issue->add_option("--name", arguments.issue.name, "The machine's name")->required();
  issue->add_option("--out", arguments.issue.folder, "The folder for the files")->required();
  issue->add_option("--dns", arguments.issue.dns_names, "A DNS name for the certificate");
  issue->add_option("--ip", arguments.issue.ip_addresses, "An IP address for the certificate");
  issue->add_option("--lifetime", arguments.lifetime, "For example 30d");
  CLI::App* enrol = app.add_subcommand(
      "enrol-first-admin",
      "Give the first administrator a token, while the broker is stopped; prints a secret");
  enrol->add_option("--user", arguments.user, "The name the person signs in with")->required();
  AddStoreCommands(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error, std::cout, std::cerr);
    return code == 0 ? 0 : kExitUsage;
  }
  return RunCommand(app, arguments);
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) { return werkplek::Main(argc, argv); }
