#include "client/ctl/program.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/command_line_problem.h"
#include "client/api/completion.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::string_view kFooter =
    "Examples:\n"
    "  werkplekctl sign-in --user beheer\n"
    "  werkplekctl site create a --description 'Datacenter A'\n"
    "  werkplekctl host add hv-a1 --site a\n"
    "  werkplekctl apply -f pools.yaml\n"
    "  werkplekctl token enrol jan\n"
    "  werkplekctl session list --pool kantoor -o json\n"
    "\n"
    "Exit codes: 0 done, 1 wrong command or no confirmation, 2 refused by the broker, 3 not "
    "signed\n"
    "in or sign-in failed, 4 unavailable (try again later), 5 a problem on this machine,\n"
    "130 interrupted.";

// What the flags of every command say.
struct CommonFlags {
  std::string config;
  std::string output = "table";
  bool yes = false;
};

// The command line: one subcommand per noun, one below it per verb.
class CommandLine {
 public:
  explicit CommandLine(std::vector<CommandEntry> entries) : entries_(std::move(entries)) {
    app_.description("Runs a Werkplek installation: sites, hosts, images, pools, people.");
    app_.name("werkplekctl");
    app_.set_version_flag("--version", std::string("werkplekctl ") + WERKPLEK_VERSION,
                          "Show the version");
    app_.set_help_flag("-h,--help", "Show this help");
    app_.require_subcommand(1);
    app_.fallthrough();
    // For the subcommands; the program's own comes last.
    app_.footer("Flags of every command: --config FILE, -o table|json|yaml, -y (no confirmations)");
    app_.add_option("--config", flags.config,
                    "Configuration (default: ~/.config/werkplek/admin.yaml, then "
                    "/etc/werkplek/admin.yaml)")
        ->type_name("FILE");
    app_.add_option("-o,--output", flags.output, "Form of the result")
        ->type_name("table|json|yaml")
        ->check(CLI::IsMember({"table", "json", "yaml"}).description(""));
    app_.add_flag("-y,--yes", flags.yes, "Do not ask for confirmations");
    for (CommandEntry& entry : entries_) AddEntry(entry);
    CLI::App* completion = app_.add_subcommand("completion", "Completion for the shell");
    completion->require_subcommand(1);
    bash_ = completion->add_subcommand("bash", "Print a completion script for bash");
    app_.footer(std::string(kFooter));
  }

  void Parse(const std::vector<std::string>& arguments) {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app_.parse(reversed);
  }

  // nullptr: completion.
  CommandEntry* Chosen() {
    CommandEntry* chosen = nullptr;
    for (size_t i = 0; i < entries_.size(); ++i) {
      // A noun that is a command itself counts only without a verb.
      if (apps_[i]->parsed() && apps_[i]->get_subcommands().empty()) chosen = &entries_[i];
    }
    return chosen;
  }
  bool completion() const { return bash_->parsed(); }
  CLI::App& app() { return app_; }

  CommonFlags flags;

 private:
  void AddEntry(CommandEntry& entry) {
    CLI::App* parent = &app_;
    if (!entry.noun.empty()) {
      CLI::App*& noun = nouns_[entry.noun];
      if (noun == nullptr) {
        noun = app_.add_subcommand(entry.noun, NounSummary(entry.noun));
        noun->require_subcommand(entry.verb.empty() ? 0 : 1, 1);
      }
      parent = noun;
    }
    CLI::App* app = entry.verb.empty() ? parent : parent->add_subcommand(entry.verb, entry.summary);
    if (entry.verb.empty()) app->description(entry.summary);
    entry.command->Define(*app);
    apps_.push_back(app);
  }

  static std::string NounSummary(const std::string& noun) {
    static const auto* const kSummaries = new std::map<std::string, std::string>({
        {"site", "Datacenters"},
        {"host", "Hypervisor machines"},
        {"image", "Base disks that desktops are cloned from"},
        {"pool", "Sets of alike desktops"},
        {"entitlement", "Who may use which pool"},
        {"client", "Thin clients and laptops"},
        {"admin", "Machines from which admins work"},
        {"gateway", "Gateways for people outside"},
        {"desktop", "Virtual machines of pools"},
        {"session", "People at desktops"},
        {"token", "One-time tokens of people"},
        {"certificate", "Certificates of machines"},
        {"audit", "Who did what"},
        {"store", "The whole store of a broker, in a file"},
    });
    const auto found = kSummaries->find(noun);
    return found == kSummaries->end() ? "" : found->second;
  }

  CLI::App app_;
  std::vector<CommandEntry> entries_;
  // By index of the entry.
  std::vector<CLI::App*> apps_;
  std::map<std::string, CLI::App*> nouns_;
  CLI::App* bash_ = nullptr;
};

// What to do about a failure; empty: the message says it.
std::string Advice(const absl::Status& status, const CommandEntry& entry) {
  const bool signing_in = entry.noun == "sign-in" && entry.verb.empty();
  // Problems of this machine and of the command line say it themselves.
  const ExitCode code = ExitCodeFor(status);
  if (code == ExitCode::kLocal || code == ExitCode::kUsage) return "";
  const std::string noun = entry.noun.empty() ? "KIND" : entry.noun;
  const bool joining = entry.verb == "join";
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      if (signing_in && RetryDelayOf(status) > absl::ZeroDuration()) {
        return absl::StrCat("Wait ", WholeMinutes(RetryDelayOf(status)), " minutes.");
      }
      return signing_in ? "Check the user name, the password and the code; a code works once, so "
                          "wait for the next one."
                        : "Sign in with: werkplekctl sign-in";
    case absl::StatusCode::kPermissionDenied:
      if (joining) {
        return "A code works once, and only for a while. Let an administrator make a new one with: "
               "werkplekctl admin add NAME";
      }
      return "Your roles do not allow this, or this machine has no admin certificate. Sign in "
             "again "
             "after your groups have changed.";
    case absl::StatusCode::kNotFound:
      return absl::StrCat("See what there is with: werkplekctl ", noun, " list");
    case absl::StatusCode::kAlreadyExists:
      return absl::StrCat("Change it with: werkplekctl ", noun, " update NAME");
    case absl::StatusCode::kAborted:
      return absl::StrCat("It has changed meanwhile. Look at it with: werkplekctl ", noun,
                          " get NAME, then try again.");
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return "Try again in a moment; nothing is done twice.";
    default:
      return "";
  }
}

// The brokers, opened once, with the admin's token when there is one.
class LazyBroker {
 public:
  LazyBroker(const CtlPorts& ports, std::string config, bool needs_sign_in)
      : ports_(ports), config_(std::move(config)), needs_sign_in_(needs_sign_in) {}

  absl::StatusOr<BrokerClient*> Get() {
    if (client_ != nullptr) return client_.get();
    ASSIGN_OR_RETURN(std::vector<BrokerEndpoint> endpoints, ports_.connect(config_));
    ASSIGN_OR_RETURN(const TokenFile file, ports_.token_file());
    absl::StatusOr<KeptSignIn> kept = file.Load(ports_.now());
    if (!kept.ok() && (needs_sign_in_ || !absl::IsUnauthenticated(kept.status()))) {
      return kept.status();
    }
    client_ = std::make_unique<BrokerClient>(std::move(endpoints), ports_.retries);
    if (kept.ok()) client_->SetAccessToken(std::move(kept->access_token));
    client_->SetRetryListener(
        [this](const std::string& address, const absl::Status& failure, absl::Duration delay) {
          // Short hiccups are nobody's business.
          if (!ports_.terminal.ShowsResults() || delay < absl::Seconds(1)) return;
          ports_.err << "werkplekctl: " << address << ": " << Printable(failure.message())
                     << "; trying again in " << FormatSpan(delay + absl::Milliseconds(500)) << "\n";
        });
    return client_.get();
  }

 private:
  const CtlPorts& ports_;
  const std::string config_;
  const bool needs_sign_in_;
  std::unique_ptr<BrokerClient> client_;
};

OutputFormat ParseOutput(const std::string& word) {
  if (word == "json") return OutputFormat::kJson;
  return word == "yaml" ? OutputFormat::kYaml : OutputFormat::kTable;
}

ExitCode RunEntry(CommandEntry& entry, const CommonFlags& flags, const CtlPorts& ports) {
  LazyBroker broker(ports, flags.config, entry.command->NeedsSignIn());
  CommandContext context{
      .config_path = flags.config,
      .broker = [&] { return broker.Get(); },
      .token_file = ports.token_file,
      .terminal = ports.terminal,
      .out = ports.out,
      .err = ports.err,
      .output = ParseOutput(flags.output),
      .yes = flags.yes,
      .now = ports.now,
  };
  if (entry.noun == "sign-in" && entry.verb.empty() && ports.renew) {
    const absl::Status renewed = ports.renew(flags.config);
    // Where no broker answers, and where the files are bad, the sign-in says so itself.
    if (!renewed.ok() && !absl::IsUnavailable(renewed) &&
        ExitCodeFor(renewed) != ExitCode::kLocal) {
      ports.err << "werkplekctl: this machine's certificate could not be renewed: "
                << Printable(renewed.message()) << "\n";
    }
  }
  const absl::Status status = entry.command->Run(context);
  if (status.ok()) return ExitCode::kOk;
  ports.out << std::flush;
  // The server's words are lines of their own when there are several.
  ports.err << "werkplekctl: " << status.message() << "\n";
  const std::string advice = Advice(status, entry);
  if (!advice.empty()) ports.err << advice << "\n";
  return ExitCodeFor(status);
}

ExitCode RunLine(const std::vector<std::string>& arguments, const CtlPorts& ports) {
  CommandLine line(AllCommands());
  try {
    line.Parse(arguments);
  } catch (const CLI::Success& wanted) {
    line.app().exit(wanted, ports.out, ports.err);
    return ExitCode::kOk;
  } catch (const CLI::ParseError& wrong) {
    ports.err << "werkplekctl: " << DescribeParseError(line.app(), wrong) << "\n";
    return ExitCode::kUsage;
  }
  if (line.completion()) {
    ports.out << BashCompletion(line.app(), "werkplekctl");
    return ExitCode::kOk;
  }
  return RunEntry(*line.Chosen(), line.flags, ports);
}

}  // namespace

ExitCode RunCtl(const std::vector<std::string>& arguments, const CtlPorts& ports) {
  const ExitCode code = RunLine(arguments, ports);
  ports.out << std::flush;
  if (ports.out.good() || code != ExitCode::kOk) return code;
  ports.err << "werkplekctl: it is done, but the result could not be written (a full disk, or a "
               "pipe that was closed)\n";
  return ExitCode::kLocal;
}

}  // namespace werkplek
