#include "client/login/session_commands.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/exit_code.h"
#include "client/api/sign_in.h"
#include "client/api/table.h"
#include "client/login/progress.h"
#include "common/base/status_macros.h"
#include "common/tls/certificate.h"

namespace werkplek {
namespace {

std::string DescribeSession(const v1::SessionView& session, Language language) {
  const auto say = [&](Message message) {
    return Say(language, message, {{"desktop", session.desktop()}});
  };
  switch (session.state()) {
    case v1::SESSION_STATE_READY:
      return say(Message::kSessionReady);
    case v1::SESSION_STATE_ACTIVE:
      return say(Message::kSessionActive);
    case v1::SESSION_STATE_DISCONNECTED:
      return say(Message::kSessionDisconnected);
    case v1::SESSION_STATE_ENDING:
      return say(Message::kSessionEnding);
    case v1::SESSION_STATE_ENDED:
      return say(Message::kSessionEnded);
    default:
      return say(Message::kSessionPending);
  }
}

std::string DescribeAvailability(const v1::PoolView& pool, Language language) {
  if (pool.available()) return Say(language, Message::kYes);
  // Brokers of before give the reason alone.
  return Say(language, Message::kNo,
             {{"reason", pool.unavailable_rule().empty()
                             ? pool.unavailable_reason()
                             : DescribeRule(pool.unavailable_rule(), language)}});
}

// The person's session in `pool`, or the only one there is.
absl::StatusOr<v1::SessionView> OwnSession(LoginContext& context, const std::string& pool) {
  ASSIGN_OR_RETURN(const v1::ListPoolsResponse pools, AskPools(context));
  std::vector<v1::SessionView> found;
  std::vector<std::string> names;
  for (const v1::PoolView& view : pools.pools()) {
    if (!view.has_session() || (!pool.empty() && view.pool() != pool)) continue;
    found.push_back(view.session());
    names.push_back(view.pool());
  }
  if (found.size() > 1) {
    return UsageProblem(context.Fail(absl::StatusCode::kInvalidArgument, Message::kSeveralSessions,
                                     {{"pools", absl::StrJoin(names, ", ")}}));
  }
  if (!found.empty()) return found.front();
  return context.Fail(absl::StatusCode::kNotFound,
                      pool.empty() ? Message::kNoSession : Message::kNoSessionIn, {{"pool", pool}});
}

void AddOwnPool(CLI::App& app, Language language, std::string& pool) {
  app.add_option("POOL", pool, Say(language, Message::kHelpOwnPool))->type_name("");
}

}  // namespace

absl::StatusOr<v1::ListPoolsResponse> AskPools(LoginContext& context) {
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  return broker->Call(&v1::SessionService::Stub::ListPools, v1::ListPoolsRequest());
}

void EmployeeSignIn::Define(CLI::App& app, Language language) {
  app.add_option("--user", user_, Say(language, Message::kHelpUser))->type_name("NAME");
}

absl::Status EmployeeSignIn::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const TokenFile file, context.token_file());
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  const CredentialQuestions questions{
      .user = context.Text(Message::kAskUser),
      .password = context.Text(Message::kAskPassword),
      .token_code = context.Text(Message::kAskCode),
      .user_missing = context.Text(Message::kUserMissing),
      .password_missing = context.Text(Message::kPasswordMissing),
  };
  const absl::StatusOr<Credentials> credentials =
      AskCredentials(context.terminal, questions, user_);
  // What is missing is said in the words of the questions.
  if (ExitCodeFor(credentials.status()) == ExitCode::kUsage) {
    return ForThePerson(credentials.status());
  }
  if (!credentials.ok()) return credentials.status();
  ASSIGN_OR_RETURN(const v1::SignInResponse response,
                   SignInAndKeep(*broker, file, *credentials,
                                 FactsOfThisMachine("werkplek", LanguageCode(context.language))));
  if (context.output != OutputFormat::kTable) {
    context.out << (context.output == OutputFormat::kJson ? ToJson(response) : ToYaml(response));
    return absl::OkStatus();
  }
  context.out << context.Text(Message::kSignedIn,
                              {{"name", Printable(response.display_name())},
                               {"until", FormatTime(response.expires_unix_ms())}})
              << "\n";
  if (response.idle_limit_s() > 0) {
    context.out << context.Text(Message::kSignedInIdle,
                                {{"minutes", absl::StrCat(response.idle_limit_s() / 60)}})
                << "\n";
  }
  for (const std::string& notice : response.notices()) {
    context.out << context.Text(Message::kNotice, {{"notice", Printable(notice)}}) << "\n";
  }
  return absl::OkStatus();
}

void EmployeeSignOut::Define(CLI::App&, Language) {}

absl::Status EmployeeSignOut::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const TokenFile file, context.token_file());
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  RETURN_IF_ERROR(SignOutAndForget(*broker, file));
  context.out << context.Text(Message::kSignedOut) << "\n";
  return absl::OkStatus();
}

void ListOwnPools::Define(CLI::App&, Language) {}

absl::Status ListOwnPools::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const v1::ListPoolsResponse pools, AskPools(context));
  if (context.output != OutputFormat::kTable) {
    context.out << (context.output == OutputFormat::kJson ? ToJson(pools) : ToYaml(pools));
    return absl::OkStatus();
  }
  if (pools.pools().empty()) {
    context.out << context.Text(Message::kNoPools) << "\n";
    return absl::OkStatus();
  }
  Table table({context.Text(Message::kColumnPool), context.Text(Message::kColumnDescription),
               context.Text(Message::kColumnSession), context.Text(Message::kColumnAvailable)},
              {context.Text(Message::kColumnDescription), context.Text(Message::kColumnSession),
               context.Text(Message::kColumnAvailable)});
  for (const v1::PoolView& pool : pools.pools()) {
    table.AddRow({pool.pool(), pool.description(),
                  pool.has_session() ? DescribeSession(pool.session(), context.language)
                                     : context.Text(Message::kNone),
                  DescribeAvailability(pool, context.language)});
  }
  context.out << table.Render(context.terminal.Width(), [&context](const std::string& columns) {
    return context.Text(Message::kColumnsLeftOut, {{"columns", columns}});
  });
  return absl::OkStatus();
}

void DisconnectOwn::Define(CLI::App& app, Language language) { AddOwnPool(app, language, pool_); }

absl::Status DisconnectOwn::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const v1::SessionView session, OwnSession(context, pool_));
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  v1::DisconnectRequest request;
  request.set_request_id(NewRequestId());
  request.set_session(session.session());
  RETURN_IF_ERROR(broker->Call(&v1::SessionService::Stub::Disconnect, request).status());
  context.out << context.Text(Message::kDisconnected, {{"pool", session.pool()}}) << "\n";
  return absl::OkStatus();
}

void EndOwn::Define(CLI::App& app, Language language) {
  AddOwnPool(app, language, pool_);
  app.add_flag("-y,--yes", yes_, Say(language, Message::kHelpYes));
}

absl::Status EndOwn::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const v1::SessionView session, OwnSession(context, pool_));
  if (!yes_) {
    if (!context.terminal.CanAsk()) {
      return UsageProblem(
          context.Fail(absl::StatusCode::kFailedPrecondition, Message::kNobodyToAsk));
    }
    ASSIGN_OR_RETURN(
        const bool agreed,
        context.terminal.Confirm(context.Text(Message::kConfirmEnd, {{"pool", session.pool()}}),
                                 context.Text(Message::kYesOrNo)));
    if (!agreed) return context.Fail(absl::StatusCode::kCancelled, Message::kKept);
  }
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  v1::EndSessionRequest request;
  request.set_request_id(NewRequestId());
  request.set_session(session.session());
  RETURN_IF_ERROR(broker->Call(&v1::SessionService::Stub::EndSession, request).status());
  context.out << context.Text(Message::kEnded, {{"pool", session.pool()}}) << "\n";
  return absl::OkStatus();
}

void ShowStatus::Define(CLI::App&, Language) {}

absl::Status ShowStatus::Run(LoginContext& context) {
  ASSIGN_OR_RETURN(const ClientConfig config, context.config());
  const absl::StatusOr<TlsMaterial> own = LoadTlsFiles(config.tls, context.now());
  if (!own.ok()) return LocalProblem(own.status(), LocalCause::kCertificate);
  context.out << context.Text(Message::kStatusMachine,
                              {{"name", PeerLabel(own->own.name)},
                               {"until", FormatTime(absl::ToUnixMillis(own->own.not_after))}})
              << "\n";
  // Any answer of a broker is one, also "you are not signed in".
  ASSIGN_OR_RETURN(const std::vector<BrokerEndpoint> endpoints, OpenBrokers(config));
  RetryPolicy once;
  once.max_attempts = 1;
  bool any = false;
  context.out << context.Text(Message::kStatusBrokers) << "\n";
  for (const BrokerEndpoint& endpoint : endpoints) {
    BrokerClient broker({endpoint}, once);
    const absl::Status status =
        broker.Call(&v1::SessionService::Stub::ListPools, v1::ListPoolsRequest()).status();
    const bool answers = !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status);
    any = any || answers;
    context.out << "  " << endpoint.address << " "
                << (answers ? context.Text(Message::kStatusAnswers)
                            : context.Text(Message::kStatusSilent,
                                           {{"reason", Printable(status.message())}}))
                << "\n";
  }
  ASSIGN_OR_RETURN(const TokenFile file, context.token_file());
  const absl::StatusOr<KeptSignIn> kept = file.Load(context.now());
  if (kept.ok()) {
    const std::string name = kept->display_name.empty()
                                 ? kept->user
                                 : absl::StrCat(kept->display_name, " (", kept->user, ")");
    context.out << context.Text(Message::kStatusSignIn, {{"name", Printable(name)}}) << ", "
                << context.Text(Message::kStatusUntil,
                                {{"until", FormatTime(absl::ToUnixMillis(kept->expires))}})
                << "\n";
  } else {
    context.out << context.Text(Message::kStatusNotSignedIn) << "\n";
  }
  if (!any) return context.Fail(absl::StatusCode::kUnavailable, Message::kNoBrokerAnswers);
  return absl::OkStatus();
}

}  // namespace werkplek
