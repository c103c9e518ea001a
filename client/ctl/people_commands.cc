#include "client/ctl/people_commands.h"

#include <cctype>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/api/exit_code.h"
#include "client/api/sign_in.h"
#include "client/ctl/qr_code.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr int kFirstCodeAttempts = 3;

absl::Status SendFirstCode(CommandContext& context, const std::string& user,
                           absl::string_view code) {
  v1::ConfirmTokenRequest request;
  request.set_request_id(NewRequestId());
  request.set_user(user);
  std::string digits(code);
  absl::RemoveExtraAsciiWhitespace(&digits);
  std::erase(digits, ' ');
  request.set_code(digits);
  RETURN_IF_ERROR(CallAdmin(context, &v1::AdminService::Stub::ConfirmToken, request).status());
  Tell(context, absl::StrCat("The token of ", user, " is active."));
  return absl::OkStatus();
}

void ShowEnrolment(CommandContext& context, const v1::EnrolTokenResponse& enrolment,
                   const std::string& user, std::ostream& out) {
  const absl::StatusOr<QrModules> modules = EncodeQr(enrolment.otpauth_uri());
  if (modules.ok()) {
    out << "Let " << Printable(user) << " scan this with an authenticator app:\n\n"
        << DrawQr(*modules, context.terminal.ShowsResults()) << "\n";
  }
  const std::string seed = TypedSeed(enrolment.otpauth_uri());
  if (!seed.empty()) out << "Or type this key into it (it is secret): " << seed << "\n";
}

}  // namespace

std::string TypedSeed(absl::string_view otpauth_uri) {
  constexpr absl::string_view kKey = "secret=";
  size_t begin = otpauth_uri.find(kKey);
  if (begin == absl::string_view::npos) return "";
  begin += kKey.size();
  std::string typed;
  size_t digits = 0;
  for (size_t i = begin; i < otpauth_uri.size() && absl::ascii_isalnum(otpauth_uri[i]); ++i) {
    if (digits > 0 && digits % 4 == 0) typed.push_back(' ');
    typed.push_back(otpauth_uri[i]);
    ++digits;
  }
  return typed;
}

void EnrolTokenCommand::Define(CLI::App& app) {
  app.add_option("USER", user_, "The sign-in name")->required()->type_name("");
  app.add_flag("--no-confirm", no_confirm_,
               "Do not ask for the first code; it follows with `token confirm`");
}

absl::Status EnrolTokenCommand::Run(CommandContext& context) {
  v1::EnrolTokenRequest request;
  request.set_request_id(NewRequestId());
  request.set_user(user_);
  RETURN_IF_ERROR(
      Confirm(context, absl::StrCat("Make a new token for ", Printable(user_),
                                    "? One that this person has now stops working at once.")));
  ASSIGN_OR_RETURN(v1::EnrolTokenResponse enrolment,
                   CallAdmin(context, &v1::AdminService::Stub::EnrolToken, request));
  const absl::Cleanup wipe = [&] { Wipe(*enrolment.mutable_otpauth_uri()); };
  Show(context, enrolment,
       [&](std::ostream& out, int) { ShowEnrolment(context, enrolment, user_, out); });
  context.out << std::flush;
  if (no_confirm_ || context.output != OutputFormat::kTable || !context.terminal.CanAsk()) {
    Tell(context,
         absl::StrCat("\nIt counts after a first good code: werkplekctl token confirm ", user_));
    return absl::OkStatus();
  }
  return ConfirmFirstCode(context);
}

absl::Status EnrolTokenCommand::ConfirmFirstCode(CommandContext& context) {
  absl::Status status;
  for (int attempt = 0; attempt < kFirstCodeAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const std::string code,
                     context.terminal.Ask("\nThe code that the app shows now: "));
    status = SendFirstCode(context, user_, code);
    const bool wrong = absl::IsInvalidArgument(status) || absl::IsUnauthenticated(status) ||
                       absl::IsFailedPrecondition(status);
    if (!wrong) return status;
    context.err << "werkplekctl: " << Printable(status.message())
                << "; wait for the next code and try that one\n";
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the token is not active yet; check the clock of the telephone, then: "
                   "werkplekctl token confirm ",
                   user_));
}

void ConfirmTokenCommand::Define(CLI::App& app) {
  app.add_option("USER", user_, "The sign-in name")->required()->type_name("");
}

absl::Status ConfirmTokenCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const std::string code,
                   context.terminal.Ask("The code that the app shows now: "));
  return SendFirstCode(context, user_, code);
}

void RevokeTokenCommand::Define(CLI::App& app) {
  app.add_option("USER", user_, "The sign-in name")->required()->type_name("");
}

absl::Status RevokeTokenCommand::Run(CommandContext& context) {
  RETURN_IF_ERROR(
      Confirm(context, absl::StrCat("Revoke the token of ", Printable(user_),
                                    "? Without a new one this person cannot sign in.")));
  v1::RevokeTokenRequest request;
  request.set_request_id(NewRequestId());
  request.set_user(user_);
  RETURN_IF_ERROR(CallAdmin(context, &v1::AdminService::Stub::RevokeToken, request).status());
  Tell(context, absl::StrCat("The token of ", user_, " is revoked."));
  return absl::OkStatus();
}

void ListTokensCommand::Define(CLI::App&) {}

absl::Status ListTokensCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(
      const v1::ListTokensResponse all,
      CallAllPages(context, &v1::AdminService::Stub::ListTokens, v1::ListTokensRequest(),
                   [](const v1::ListTokensResponse& page, v1::ListTokensRequest& next) {
                     if (!page.tokens().empty()) next.set_after(page.tokens().rbegin()->user());
                   }));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.tokens().empty()) {
      out << "Nobody has a token yet. Make one with: werkplekctl token enrol USER\n";
      return;
    }
    Table table({"USER", "STATE", "WRONG CODES", "PAUSED UNTIL", "MADE"});
    for (const v1::TokenView& token : all.tokens()) {
      table.AddRow({token.user(), token.state(), absl::StrCat(token.failures()),
                    TimeCell(context, token.paused_until_unix_ms(), width),
                    TimeCell(context, token.created_unix_ms(), width)});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

void ListSignInsCommand::Define(CLI::App& app) {
  app.add_option("--user", user_, "Only of this user")->type_name("USER");
}

absl::Status ListSignInsCommand::Run(CommandContext& context) {
  v1::ListSignInsRequest request;
  request.set_user(user_);
  ASSIGN_OR_RETURN(
      const v1::ListSignInsResponse all,
      CallAllPages(context, &v1::AdminService::Stub::ListSignIns, request,
                   [](const v1::ListSignInsResponse& page, v1::ListSignInsRequest& next) {
                     if (!page.sign_ins().empty()) next.set_after(page.sign_ins().rbegin()->id());
                   }));
  Show(context, all, [&](std::ostream& out, int width) {
    if (all.sign_ins().empty()) {
      out << "Nobody is signed in.\n";
      return;
    }
    Table table({"SIGN-IN", "USER", "NAME", "FROM", "ADDRESS", "ROLES", "LAST USED", "ENDS"},
                {"NAME", "FROM", "ADDRESS", "ROLES"});
    for (const v1::SignInView& sign_in : all.sign_ins()) {
      std::vector<std::string> roles;
      for (const int role : sign_in.roles()) roles.push_back(EnumWord(static_cast<v1::Role>(role)));
      table.AddRow({sign_in.id(), sign_in.user(), sign_in.display_name(), sign_in.peer(),
                    sign_in.address(), absl::StrJoin(roles, ","),
                    TimeCell(context, sign_in.last_used_unix_ms(), width),
                    TimeCell(context, sign_in.expires_unix_ms(), width)});
    }
    out << table.Render(width);
  });
  return absl::OkStatus();
}

void RevokeSignInsCommand::Define(CLI::App& app) {
  app.add_option("ID", id_, "As `sign-in list` shows it")->type_name("");
  app.add_option("--user", user_, "All of this user")->type_name("USER");
  app.add_flag("--all", all_, "All sign-ins of everybody, this one too");
}

absl::Status RevokeSignInsCommand::Run(CommandContext& context) {
  if ((id_.empty() ? 0 : 1) + (user_.empty() ? 0 : 1) + (all_ ? 1 : 0) != 1) {
    return UsageProblem(absl::InvalidArgumentError("give exactly one of: ID, --user USER, --all"));
  }
  v1::RevokeSignInsRequest request;
  request.set_request_id(NewRequestId());
  std::string what = "Sign everybody out, yourself too?";
  if (all_) {
    request.set_all(true);
  } else if (!user_.empty()) {
    request.set_user(user_);
    what = absl::StrCat("Sign ", Printable(user_), " out everywhere?");
  } else {
    request.set_id(id_);
    what = absl::StrCat("Revoke the sign-in ", Printable(id_), "?");
  }
  RETURN_IF_ERROR(Confirm(context, what));
  ASSIGN_OR_RETURN(const v1::RevokeSignInsResponse response,
                   CallAdmin(context, &v1::AdminService::Stub::RevokeSignIns, request));
  if (response.revoked() == 0 && !all_) {
    return absl::NotFoundError(user_.empty() ? "there is no such sign-in"
                                             : absl::StrCat(Printable(user_), " is not signed in"));
  }
  Show(context, response, [&](std::ostream& out, int) {
    out << response.revoked() << (response.revoked() == 1 ? " sign-in" : " sign-ins")
        << " revoked\n";
  });
  return absl::OkStatus();
}

void SignInCommand::Define(CLI::App& app) {
  app.add_option("--user", user_, "Your user name; asked for when left out")->type_name("USER");
}

absl::Status SignInCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const TokenFile file, context.token_file());
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  ASSIGN_OR_RETURN(
      const Credentials credentials,
      AskCredentials(context.terminal,
                     {.user = "User name: ",
                      .password = "Password: ",
                      .token_code = "One-time code: ",
                      .user_missing = "whose sign-in? Add --user NAME",
                      .password_missing = "the password is missing: standard input has ended"},
                     user_));
  ASSIGN_OR_RETURN(
      const v1::SignInResponse response,
      SignInAndKeep(*broker, file, credentials, FactsOfThisMachine("werkplekctl", "en")));
  std::vector<std::string> roles;
  for (const int role : response.roles()) roles.push_back(EnumWord(static_cast<v1::Role>(role)));
  Show(context, response, [&](std::ostream& out, int) {
    out << "Signed in as " << Printable(response.display_name()) << " ("
        << absl::StrJoin(roles, ", ") << "), until " << FormatTime(response.expires_unix_ms())
        << " at the latest.\n";
    for (const std::string& notice : response.notices()) {
      out << "Please note: " << Printable(notice) << "\n";
    }
  });
  return absl::OkStatus();
}

void SignOutCommand::Define(CLI::App&) {}

absl::Status SignOutCommand::Run(CommandContext& context) {
  ASSIGN_OR_RETURN(const TokenFile file, context.token_file());
  ASSIGN_OR_RETURN(BrokerClient * broker, context.broker());
  RETURN_IF_ERROR(SignOutAndForget(*broker, file));
  Tell(context, "Signed out.");
  return absl::OkStatus();
}

}  // namespace werkplek
