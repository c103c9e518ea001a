#include "client/login/join_command.h"

#include <utility>

#include "client/api/exit_code.h"
#include "client/api/join.h"
#include "common/base/status_macros.h"

namespace werkplek {

void JoinCommand::Define(CLI::App& app, Language language) {
  app.add_option("URL", url_, Say(language, Message::kHelpJoinUrl))->required()->type_name("");
  app.add_option("CODE", code_, Say(language, Message::kHelpJoinCode))->required()->type_name("");
  app.add_option("CA-SHA256", ca_sha256_, Say(language, Message::kHelpJoinCa))
      ->required()
      ->type_name("");
  app.add_option("--broker", brokers_, Say(language, Message::kHelpJoinBroker))
      ->required()
      ->type_name("ADDRESS:PORT")
      ->expected(1)
      ->take_all();
  app.add_option("--group", group_, Say(language, Message::kHelpJoinGroup))->type_name("GROUP");
}

absl::Status JoinCommand::Run(LoginContext& context) {
  JoinRequest request;
  request.url = url_;
  request.code = Secret(code_);
  if (code_ == "-") {
    absl::StatusOr<Secret> code = context.terminal.AskHidden(context.Text(Message::kAskCode));
    if (ExitCodeFor(code.status()) == ExitCode::kUsage) {
      return UsageProblem(context.Fail(absl::StatusCode::kInvalidArgument, Message::kCodeMissing));
    }
    ASSIGN_OR_RETURN(request.code, std::move(code));
  }
  request.ca_sha256 = ca_sha256_;
  request.identity = v1::IDENTITY_CLIENT;
  request.config_path = context.config_path;
  request.brokers = brokers_;
  request.group = group_;
  if (request.config_path.empty()) {
    const std::string directory = OwnConfigDirectory();
    if (directory.empty()) {
      return UsageProblem(context.Fail(absl::StatusCode::kInvalidArgument, Message::kNeedsConfig));
    }
    request.config_path = directory + "/config.yaml";
  }
  const absl::StatusOr<JoinResult> result = JoinMachine(request);
  if (absl::IsPermissionDenied(result.status()) &&
      ExitCodeFor(result.status()) == ExitCode::kRefused) {
    return context.Fail(absl::StatusCode::kPermissionDenied, Message::kJoinRefused,
                        {{"reason", Printable(result.status().message())}});
  }
  if (!result.ok()) return result.status();
  context.out << context.Text(Message::kJoined,
                              {{"name", PeerLabel(result->own.name)},
                               {"until", FormatTime(absl::ToUnixMillis(result->own.not_after))}})
              << "\n"
              << context.Text(Message::kJoinWrote, {{"file", request.config_path}}) << "\n";
  return absl::OkStatus();
}

}  // namespace werkplek
