#include "common/program/machine_main.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/http/join_client.h"
#include "common/program/hardening.h"
#include "common/program/program_end.h"
#include "common/program/watchdog.h"

namespace werkplek {
namespace {

struct Arguments {
  std::string config;
  std::string url;
  std::string code;
  std::string ca_sha256;
  std::string out;
};

class Machine {
 public:
  explicit Machine(MachineProgram program)
      : program_(std::move(program)),
        name_("werkplek-" + program_.word),
        app_(program_.description) {
    arguments_.out = program_.folder;
    app_.set_version_flag("--version", absl::StrCat(name_, " " WERKPLEK_VERSION));
    app_.add_option("--config", arguments_.config, "The configuration file (YAML)");
    app_.fallthrough();
    app_.require_subcommand(0, 1);
    app_.footer(program_.footer);
    app_.add_subcommand("check-config",
                        "Judge the configuration and everything it names, then end");
    CLI::App* join = app_.add_subcommand(
        "join", absl::StrCat("Get this machine's first certificate, with what `",
                             program_.added_with, "` printed"));
    join->add_option("URL", arguments_.url, "https://BROKER:PORT/v1/join")->required();
    join->add_option("CODE", arguments_.code, "The code, which works once; - asks for it")
        ->required();
    join->add_option("CA-SHA256", arguments_.ca_sha256, "The authority's SHA-256")->required();
    join->add_option("--out", arguments_.out, "The folder for the files")->capture_default_str();
  }

  int Main(int argc, char** argv) {
    if (const absl::Status status = HardenProcess(); !status.ok()) return Tell(status);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      const int code = app_.exit(error, std::cout, std::cerr);
      return code == 0 ? kExitGood : kExitUsage;
    }
    return app_.got_subcommand("join") ? Join() : Run();
  }

 private:
  int Tell(const absl::Status& status) const { return ExitCode(name_, status); }

  int Join() const {
    std::string code = arguments_.code;
    if (code == "-") {
      // For those who share this machine with others, who see each other's arguments.
      std::cerr << "Join code: " << std::flush;
      std::getline(std::cin, code);
    }
    JoinTerms terms;
    terms.url = arguments_.url;
    terms.code = Secret(std::move(code));
    terms.ca_sha256 = arguments_.ca_sha256;
    terms.identity = program_.identity;
    terms.folder = arguments_.out;
    const absl::StatusOr<TlsFiles> files = JoinOverHttps(terms);
    if (!files.ok()) return Tell(files.status());
    std::cout << "joined; certificate " << files->certificate << ", key " << files->key
              << ", authority " << files->ca << "\n";
    return kExitGood;
  }

  int Run() {
    if (arguments_.config.empty()) {
      std::cerr << name_ << ": --config FILE is missing\n";
      return kExitUsage;
    }
    auto start = program_.load(arguments_.config);
    if (!start.ok()) {
      std::cerr << start.status().message() << "\n";
      return kExitBadConfig;
    }
    if (app_.got_subcommand("check-config")) {
      std::cout << arguments_.config << ": good\n";
      return kExitGood;
    }
    const EndSignals signals;
    const absl::StatusOr<RunningProgram> running = (*start)();
    if (!running.ok()) return Tell(running.status());
    TellSystemd("READY=1");
    const int signal = signals.Wait();
    Log(Severity::kInfo, absl::StrCat(program_.word, "-stopping"),
        {{"signal", absl::StrCat(signal)}});
    return kExitGood;
  }

  MachineProgram program_;
  const std::string name_;
  Arguments arguments_;
  CLI::App app_;
};

}  // namespace

int MachineMain(MachineProgram program, int argc, char** argv) {
  return Machine(std::move(program)).Main(argc, argv);
}

}  // namespace werkplek
