#include "client/api/sign_in.h"

#include <sys/utsname.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<Credentials> AskCredentials(Terminal& terminal, const CredentialQuestions& questions,
                                           absl::string_view user) {
  Credentials credentials;
  credentials.user = std::string(user);
  if (credentials.user.empty()) {
    if (!terminal.CanAsk()) {
      return UsageProblem(absl::InvalidArgumentError(questions.user_missing));
    }
    ASSIGN_OR_RETURN(credentials.user, terminal.Ask(questions.user));
    absl::StripAsciiWhitespace(&credentials.user);
  }
  absl::StatusOr<Secret> password = terminal.AskHidden(questions.password);
  if (ExitCodeFor(password.status()) == ExitCode::kUsage) {
    return UsageProblem(absl::InvalidArgumentError(questions.password_missing));
  }
  ASSIGN_OR_RETURN(credentials.password, std::move(password));
  absl::StatusOr<Secret> code = terminal.AskHidden(questions.token_code);
  // Lines from a program may end after the password.
  if (!code.ok() && terminal.CanAsk()) return code.status();
  if (code.ok()) {
    std::string digits = code->Reveal();
    absl::RemoveExtraAsciiWhitespace(&digits);
    // Apps show "123 456".
    std::erase(digits, ' ');
    credentials.token_code = Secret(std::move(digits));
  }
  return credentials;
}

v1::ClientFacts FactsOfThisMachine(absl::string_view program, absl::string_view language) {
  v1::ClientFacts facts;
  facts.set_program(absl::StrCat(program, " ", WERKPLEK_VERSION));
  utsname about = {};
  if (uname(&about) == 0) {
    facts.set_system(absl::StrCat(about.sysname, " ", about.release));
    facts.set_host_name(about.nodename);
  }
  facts.set_language(std::string(language));
  return facts;
}

absl::StatusOr<v1::SignInResponse> SignInAndKeep(BrokerClient& client, const TokenFile& file,
                                                 const Credentials& credentials,
                                                 const v1::ClientFacts& facts) {
  v1::SignInRequest request;
  const absl::Cleanup wipe = [&request] {
    Wipe(*request.mutable_password());
    Wipe(*request.mutable_token_code());
  };
  request.set_request_id(NewRequestId());
  request.set_user(credentials.user);
  request.set_password(credentials.password.Reveal());
  request.set_token_code(credentials.token_code.Reveal());
  *request.mutable_client() = facts;
  ASSIGN_OR_RETURN(v1::SignInResponse response,
                   client.Call(&v1::SessionService::Stub::SignIn, request));
  KeptSignIn kept;
  kept.access_token = Secret(response.access_token());
  Wipe(*response.mutable_access_token());
  kept.user = credentials.user;
  kept.display_name = response.display_name();
  kept.expires = absl::FromUnixMillis(response.expires_unix_ms());
  RETURN_IF_ERROR(file.Save(kept));
  client.SetAccessToken(std::move(kept.access_token));
  return response;
}

absl::Status SignOutAndForget(BrokerClient& client, const TokenFile& file) {
  v1::SignOutRequest request;
  request.set_request_id(NewRequestId());
  const absl::Status status = client.Call(&v1::SessionService::Stub::SignOut, request).status();
  if (!status.ok() && !absl::IsUnauthenticated(status)) return status;
  return file.Remove();
}

}  // namespace werkplek
