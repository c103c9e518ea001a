#include "client/login/program.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/api/command_line_problem.h"
#include "client/api/completion.h"
#include "client/login/connect_command.h"
#include "client/login/join_command.h"
#include "client/login/session_commands.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

struct CommonFlags {
  std::string config;
  std::string language;
  std::string output = "table";
};

// The value of `--flag value` or `--flag=value`, before the command line is parsed: the words of
// its help depend on it.
std::string FlagValue(const std::vector<std::string>& arguments, absl::string_view flag) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    absl::string_view word = arguments[i];
    if (word == flag && i + 1 < arguments.size()) return arguments[i + 1];
    if (absl::ConsumePrefix(&word, absl::StrCat(flag, "="))) return std::string(word);
  }
  return "";
}

class LoginCommandLine {
 public:
  LoginCommandLine(std::vector<LoginEntry> entries, Language language)
      : entries_(std::move(entries)), language_(language) {
    const auto say = [language](Message message) { return Say(language, message); };
    app_.name("werkplek");
    app_.description(say(Message::kAbout));
    app_.set_version_flag("--version", std::string("werkplek ") + WERKPLEK_VERSION,
                          say(Message::kHelpVersion));
    app_.set_help_flag("-h,--help", say(Message::kHelpHelp));
    for (const auto& [label, message] : {std::pair{"Usage", Message::kHelpUsage},
                                         {"Positionals", Message::kHelpArguments},
                                         {"OPTIONS", Message::kHelpOptionsWord},
                                         {"SUBCOMMAND", Message::kHelpCommandWord},
                                         {"REQUIRED", Message::kHelpRequiredWord}}) {
      app_.get_formatter()->label(label, say(message));
    }
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.add_option("--config", flags.config, say(Message::kHelpConfig))
        ->type_name("FILE")
        ->group(say(Message::kHelpOptions));
    app_.add_option("--language", flags.language, say(Message::kHelpLanguage))
        ->type_name("nl|en")
        ->check(CLI::IsMember({"nl", "en"}).description(""))
        ->group(say(Message::kHelpOptions));
    app_.add_option("-o,--output", flags.output, say(Message::kHelpOutput))
        ->type_name("table|json|yaml")
        ->check(CLI::IsMember({"table", "json", "yaml"}).description(""))
        ->group(say(Message::kHelpOptions));
    for (LoginEntry& entry : entries_) {
      CLI::App* app = app_.add_subcommand(entry.name, say(entry.summary));
      entry.command->Define(*app, language);
      apps_.push_back(app);
    }
    CLI::App* completion = app_.add_subcommand("completion", say(Message::kHelpCompletion));
    completion->require_subcommand(1);
    bash_ = completion->add_subcommand("bash", say(Message::kHelpCompletion));
    Translate(app_);
    app_.footer(say(Message::kHelpFooter));
  }

  void Parse(const std::vector<std::string>& arguments) {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app_.parse(reversed);
  }
  LoginCommand* Chosen() {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (apps_[i]->parsed()) return entries_[i].command.get();
    }
    return nullptr;
  }
  const CLI::App& app() const { return app_; }
  int Exit(const CLI::Error& error, std::ostream& out, std::ostream& err) {
    return app_.exit(error, out, err);
  }

  CommonFlags flags;

 private:
  // The headings of the help.
  void Translate(CLI::App& app) {
    for (CLI::Option* option : app.get_options()) {
      if (!option->get_positional()) option->group(Say(language_, Message::kHelpOptions));
    }
    for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      sub->group(Say(language_, Message::kHelpSubcommands));
      Translate(*sub);
    }
  }

  CLI::App app_;
  std::vector<LoginEntry> entries_;
  const Language language_;
  std::vector<CLI::App*> apps_;
  CLI::App* bash_ = nullptr;
};

Message MessageFor(const CommandLineProblem& problem) {
  using Kind = CommandLineProblem::Kind;
  switch (problem.kind) {
    case Kind::kMissingCommand:
      return Message::kMissingCommand;
    case Kind::kUnknownCommand:
      return Message::kUnknownCommand;
    case Kind::kUnknownFlag:
      return Message::kUnknownFlag;
    case Kind::kTooManyWords:
      return problem.choices.empty() ? Message::kNoWords : Message::kTooManyWords;
    case Kind::kMissingArgument:
      return Message::kMissingArgument;
    case Kind::kMissingValue:
      return Message::kMissingValue;
    case Kind::kValueNotWanted:
      return Message::kValueNotWanted;
    case Kind::kBadValue:
      return problem.choices.empty() ? Message::kBadValue : Message::kBadChoice;
    case Kind::kOther:
      break;
  }
  return Message::kWrongCommandLine;
}

// What is wrong with the command line, what there is instead, and which help to read.
std::string DescribeProblem(const CommandLineProblem& problem, Language language) {
  std::string said = Say(language, MessageFor(problem),
                         {{"word", problem.subject},
                          {"command", problem.path},
                          {"choices", absl::StrJoin(problem.choices, ", ")},
                          {"help", problem.help}});
  if (!problem.nearest.empty()) {
    absl::StrAppend(&said, "\n", Say(language, Message::kNearest, {{"word", problem.nearest}}));
  }
  return absl::StrCat(said, "\n", Say(language, Message::kUsage, {{"command", problem.path}}));
}

// The configuration and the brokers, read and opened once.
class LazyClient {
 public:
  LazyClient(const LoginPorts& ports, std::string path) : ports_(ports), path_(std::move(path)) {}

  absl::StatusOr<ClientConfig> Config() {
    if (!config_.has_value()) {
      ASSIGN_OR_RETURN(config_, ports_.config(path_));
    }
    return *config_;
  }

  absl::StatusOr<BrokerClient*> Broker() {
    if (client_ != nullptr) return client_.get();
    ASSIGN_OR_RETURN(const ClientConfig config, Config());
    ASSIGN_OR_RETURN(std::vector<BrokerEndpoint> endpoints, ports_.connect(config));
    ASSIGN_OR_RETURN(const TokenFile file, ports_.token_file());
    absl::StatusOr<KeptSignIn> kept = file.Load(ports_.now());
    // Without a sign-in the broker says so; a file that others can read is a reason to stop.
    if (!kept.ok() && !absl::IsUnauthenticated(kept.status())) return kept.status();
    client_ = std::make_unique<BrokerClient>(std::move(endpoints), ports_.retries);
    if (kept.ok()) client_->SetAccessToken(std::move(kept->access_token));
    return client_.get();
  }

 private:
  const LoginPorts& ports_;
  const std::string path_;
  std::optional<ClientConfig> config_;
  std::unique_ptr<BrokerClient> client_;
};

Message MessageForLocal(LocalCause cause) {
  switch (cause) {
    case LocalCause::kNoConfiguration:
      return Message::kNoConfiguration;
    case LocalCause::kConfiguration:
      return Message::kBadConfiguration;
    case LocalCause::kCertificate:
      return Message::kBadCertificate;
    case LocalCause::kTokenFile:
      return Message::kBadTokenFile;
    case LocalCause::kOther:
      break;
  }
  return Message::kLocalProblem;
}

// What stands around words that are not in the person's language.
Message MessageForFailure(const absl::Status& status, bool signing_in) {
  switch (ExitCodeFor(status)) {
    case ExitCode::kSignInFailed:
      if (!signing_in) return Message::kSignInFirst;
      return RetryDelayOf(status) > absl::ZeroDuration() ? Message::kSignInPaused
                                                         : Message::kSignInFailed;
    case ExitCode::kUnavailable:
      return Message::kUnavailable;
    case ExitCode::kLocal:
      return MessageForLocal(CauseOf(status));
    case ExitCode::kUsage:
      return Message::kLocalProblem;
    case ExitCode::kInterrupted:
      return Message::kInterrupted;
    default:
      return Message::kBrokerRefused;
  }
}

// What went wrong, in the person's language.
std::string Explain(const absl::Status& status, bool signing_in, Language language) {
  const std::string reason(status.message());
  const std::string said =
      IsForThePerson(status) ? reason
                             : Say(language, MessageForFailure(status, signing_in),
                                   {{"reason", reason},
                                    {"minutes", absl::StrCat(WholeMinutes(RetryDelayOf(status)))}});
  if (ExitCodeFor(status) != ExitCode::kUnavailable) return said;
  return absl::StrCat(said, "\n", Say(language, Message::kTryAgain));
}

OutputFormat ParseOutput(const std::string& word) {
  if (word == "json") return OutputFormat::kJson;
  return word == "yaml" ? OutputFormat::kYaml : OutputFormat::kTable;
}

// A renewal that fails now is tried again at the next sign-in; a person may go on.
void RenewFirst(LazyClient& client, Language language, const LoginPorts& ports) {
  const absl::StatusOr<ClientConfig> config = client.Config();
  if (!config.ok()) return;
  const absl::Status status = ports.renew(*config);
  // Where no broker answers, and where the files are bad, the sign-in says so itself.
  if (status.ok() || absl::IsUnavailable(status) || ExitCodeFor(status) == ExitCode::kLocal) return;
  ports.err << Say(language, Message::kNotRenewed, {{"reason", Printable(status.message())}})
            << "\n";
}

ExitCode RunCommand(LoginCommand& command, const CommonFlags& flags, Language language,
                    const LoginPorts& ports) {
  LazyClient client(ports, flags.config);
  LoginContext context{
      .config_path = flags.config,
      .config = [&] { return client.Config(); },
      .broker = [&] { return client.Broker(); },
      .token_file = ports.token_file,
      .show_display = [&](const v1::Ready& ready, const DisplayChoice& choice) -> absl::Status {
        ASSIGN_OR_RETURN(const ClientConfig config, client.Config());
        return ports.show_display(config, language, ready, choice);
      },
      .terminal = ports.terminal,
      .out = ports.out,
      .err = ports.err,
      .live_width = ports.live_width,
      .language = language,
      .output = ParseOutput(flags.output),
      .now = ports.now,
      .sleep = ports.sleep,
  };
  const bool signing_in = dynamic_cast<EmployeeSignIn*>(&command) != nullptr;
  if (signing_in && ports.renew) RenewFirst(client, language, ports);
  const absl::Status status = command.Run(context);
  if (status.ok()) return ExitCode::kOk;
  ports.out << std::flush;
  ports.err << Say(language, Message::kError, {{"reason", Explain(status, signing_in, language)}})
            << "\n";
  return ExitCodeFor(status);
}

}  // namespace

std::vector<LoginEntry> AllLoginCommands() {
  std::vector<LoginEntry> entries;
  const auto add = [&entries](std::string name, Message summary,
                              std::unique_ptr<LoginCommand> command) {
    entries.push_back({std::move(name), summary, std::move(command)});
  };
  add("sign-in", Message::kHelpSignIn, std::make_unique<EmployeeSignIn>());
  add("list", Message::kHelpList, std::make_unique<ListOwnPools>());
  add("connect", Message::kHelpConnect, std::make_unique<ConnectCommand>());
  add("disconnect", Message::kHelpDisconnect, std::make_unique<DisconnectOwn>());
  add("end", Message::kHelpEnd, std::make_unique<EndOwn>());
  add("sign-out", Message::kHelpSignOut, std::make_unique<EmployeeSignOut>());
  add("status", Message::kHelpStatus, std::make_unique<ShowStatus>());
  add("join", Message::kHelpJoin, std::make_unique<JoinCommand>());
  return entries;
}

Language ChooseLanguage(const std::vector<std::string>& arguments, const LoginPorts& ports) {
  const std::string flag = FlagValue(arguments, "--language");
  if (!flag.empty()) return ParseLanguage(flag);
  const absl::StatusOr<ClientConfig> config = ports.config(FlagValue(arguments, "--config"));
  if (config.ok() && !config->language.empty()) return ParseLanguage(config->language);
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const std::string value = ports.variable(name);
    if (!value.empty()) return ParseLanguage(value);
  }
  return Language::kEnglish;
}

namespace {

ExitCode RunLine(const std::vector<std::string>& arguments, Language language,
                 const LoginPorts& ports) {
  LoginCommandLine line(AllLoginCommands(), language);
  try {
    line.Parse(arguments);
  } catch (const CLI::Success& wanted) {
    line.Exit(wanted, ports.out, ports.err);
    return ExitCode::kOk;
  } catch (const CLI::ParseError& wrong) {
    const CommandLineProblem problem = JudgeCommandLine(line.app(), wrong);
    ports.err << Say(language, Message::kError, {{"reason", DescribeProblem(problem, language)}})
              << "\n";
    return ExitCode::kUsage;
  }
  LoginCommand* command = line.Chosen();
  if (command == nullptr) {
    ports.out << BashCompletion(line.app(), "werkplek");
    return ExitCode::kOk;
  }
  return RunCommand(*command, line.flags, language, ports);
}

}  // namespace

ExitCode RunLogin(const std::vector<std::string>& arguments, const LoginPorts& ports) {
  const Language language = ChooseLanguage(arguments, ports);
  const ExitCode code = RunLine(arguments, language, ports);
  ports.out << std::flush;
  if (ports.out.good() || code != ExitCode::kOk) return code;
  ports.err << Say(language, Message::kError, {{"reason", Say(language, Message::kNotWritten)}})
            << "\n";
  return ExitCode::kLocal;
}

}  // namespace werkplek
