#include "broker/core/sign_in.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/core/connect.h"
#include "broker/core/places.h"
#include "broker/core/requests.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"

namespace werkplek {
namespace {

// What is judged of the one-time code. `rule` is empty when it holds.
struct CodeVerdict {
  std::string rule;
  // The wrong code counts against the person.
  bool counts = false;
  // It was right, and has been used up before.
  bool used = false;
};

std::string Shown(const std::string& typed) {
  // People type passwords into the wrong field; what cannot be a name is not repeated anywhere.
  return IsUserName(typed) ? typed : "(no name)";
}

bool IsAtGateway(const SignInChecked& event) {
  return event.caller.identity == v1::IDENTITY_GATEWAY;
}

// Whoever comes through a gateway may be anywhere, whatever network is told.
bool IsWaived(const SignInChecked& event) { return event.token_waived && !IsAtGateway(event); }

CodeVerdict JudgeCode(const Turn& turn, const SignInChecked& event,
                      const v1::TokenEnrolment* token) {
  if (IsWaived(event)) return {};
  if (token == nullptr || token->state() == v1::TOKEN_STATE_PENDING) return {"not-enrolled", false};
  if (token->state() != v1::TOKEN_STATE_ACTIVE) return {"token-revoked", false};
  if (token->failures() >= turn.settings().token_failures_stop) return {"token-stopped", false};
  if (absl::FromUnixMillis(token->paused_until_unix_ms()) > turn.now()) {
    return {"token-paused", false};
  }
  // Enrolled meanwhile, or sealed with a key that the broker that judged does not have.
  if (event.seed_id.empty()) return {"code-not-judged", false};
  if (event.seed_id != token->seed_id()) return {"token-replaced", false};
  if (event.matched_step < 0) return {"wrong-code", true};
  if (event.matched_step <= token->last_step()) return {"code-used-already", true, true};
  return {};
}

void CountWrongCode(Turn& turn, v1::TokenEnrolment token) {
  token.set_failures(token.failures() + 1);
  const BrokerSettings& settings = turn.settings();
  if (token.failures() >= settings.token_failures_stop) {
    turn.Audit("broker", "token-stop", absl::StrCat("user:", token.user()), "ok", "");
  } else if (token.failures() % settings.token_failures_pause == 0) {
    token.set_paused_until_unix_ms(absl::ToUnixMillis(turn.now() + settings.token_pause));
    turn.Audit("broker", "token-pause", absl::StrCat("user:", token.user()), "ok", "");
  }
  turn.Put(std::move(token));
}

void UseUpCode(Turn& turn, const SignInChecked& event, v1::TokenEnrolment token) {
  token.set_last_step(event.matched_step);
  token.set_failures(0);
  token.set_paused_until_unix_ms(0);
  RememberPlace(PlaceOf(event.caller), token);
  turn.Put(std::move(token));
}

void Deny(Turn& turn, const SignInChecked& event, const std::string& user,
          const std::string& rule) {
  turn.Audit(absl::StrCat("user:", user), "sign-in", absl::StrCat("user:", user), rule,
             Origin(event.caller));
  turn.Count("sign_ins", "denied");
  turn.Answer(event.call, absl::UnauthenticatedError("sign-in failed"));
}

std::shared_ptr<v1::SignInResponse> ResponseFor(const Turn& turn, const v1::SignIn& sign_in,
                                                const std::vector<std::string>& notices) {
  auto response = std::make_shared<v1::SignInResponse>();
  response->set_display_name(sign_in.display_name());
  response->set_expires_unix_ms(sign_in.expires_unix_ms());
  response->set_idle_limit_s(
      static_cast<uint32_t>(absl::ToInt64Seconds(turn.settings().sign_in_idle)));
  *response->mutable_roles() = sign_in.roles();
  for (const std::string& notice : notices) response->add_notices(notice);
  return response;
}

// What the request was, without its secrets.
std::string RequestHash(const SignInChecked& event) {
  return Sha256(absl::StrCat("sign-in/", event.typed_user));
}

// Whether the sign-in that an earlier attempt under this request id made is given again.
bool IsRepeat(const Turn& turn, const SignInChecked& event, const v1::SignIn& earlier,
              const CodeVerdict& code) {
  // A machine that repeats proves by its certificate that it is the same; a browser by the code
  // that made the sign-in, or by a new one.
  const bool same_code = code.used && event.matched_step == earlier.code_step();
  if (IsAtGateway(event) && !code.rule.empty() && !same_code) return false;
  return earlier.user() == event.person.user && IsBoundTo(earlier, event.caller) &&
         SignInEnds(turn.fleet(), earlier, turn.settings(), turn.now()) > turn.now();
}

void Repeat(Turn& turn, const SignInChecked& event, v1::SignIn sign_in, bool code_used_up) {
  if (code_used_up) sign_in.set_code_step(event.matched_step);
  sign_in.set_token_sha256(event.token_sha256);
  sign_in.set_last_used_unix_ms(turn.now_ms());
  turn.Audit(absl::StrCat("user:", sign_in.user()), "sign-in",
             absl::StrCat("user:", sign_in.user()), "ok", Origin(event.caller),
             {{"sign_in", sign_in.id()}, {"repeated", "yes"}});
  turn.Count("sign_ins", "repeated");
  auto response = ResponseFor(turn, sign_in, event.notices);
  turn.Put(std::move(sign_in));
  turn.Answer(event.call, std::move(response));
}

// Ends the sign-ins of the person that were used longest ago, until another one has room.
void MakeRoomForSignIn(Turn& turn, const std::string& user) {
  const size_t most = turn.settings().sign_ins_per_person;
  const auto found = turn.state().sign_ins_by_user.find(OwnerKey(user));
  if (found == turn.state().sign_ins_by_user.end() || found->second.size() < most) return;
  std::vector<std::pair<int64_t, std::string>> by_use;
  for (const std::string& id : found->second) {
    by_use.emplace_back(turn.fleet().sign_ins.Find(id)->last_used_unix_ms(), id);
  }
  std::sort(by_use.begin(), by_use.end());
  for (size_t i = 0; by_use.size() - i >= most; ++i) {
    const std::string& id = by_use[i].second;
    turn.Note(Severity::kInfo, "sign-in-ended",
              {{"sign_in", id}, {"user", user}, {"why", "the person has too many"}});
    EndSignIn(turn, id);
  }
}

void Accept(Turn& turn, const SignInChecked& event, std::string request_key) {
  MakeRoomForSignIn(turn, event.person.user);
  v1::SignIn sign_in;
  sign_in.set_id(event.sign_in_id);
  sign_in.set_token_sha256(event.token_sha256);
  sign_in.set_user(event.person.user);
  sign_in.set_display_name(event.person.display_name);
  sign_in.set_user_dn(event.person.dn);
  for (const std::string& group : event.person.groups) sign_in.add_groups(group);
  sign_in.add_roles(v1::ROLE_EMPLOYEE);
  for (const v1::Role role : event.roles) {
    if (role != v1::ROLE_EMPLOYEE) sign_in.add_roles(role);
  }
  sign_in.set_certificate_sha256(event.caller.certificate_sha256);
  sign_in.set_peer(event.caller.peer);
  sign_in.set_address(event.caller.address);
  sign_in.set_created_unix_ms(turn.now_ms());
  sign_in.set_last_used_unix_ms(turn.now_ms());
  sign_in.set_expires_unix_ms(absl::ToUnixMillis(turn.now() + turn.settings().sign_in_lifetime));
  sign_in.set_request_key(std::move(request_key));
  sign_in.set_request_sha256(RequestHash(event));
  if (!IsWaived(event)) sign_in.set_code_step(event.matched_step);
  auto response = ResponseFor(turn, sign_in, event.notices);
  turn.Audit(absl::StrCat("user:", sign_in.user()), "sign-in",
             absl::StrCat("user:", sign_in.user()), "ok", Origin(event.caller),
             {{"sign_in", sign_in.id()}, {"token", IsWaived(event) ? "waived" : "checked"}});
  turn.Count("sign_ins", "ok");
  turn.Put(std::move(sign_in));
  turn.Answer(event.call, std::move(response));
}

// What does not depend on the person. `earlier`: what the request id made before; nullptr: nothing.
// Not OK: the answer.
absl::Status CheckRequest(const Turn& turn, const SignInChecked& event,
                          const std::string& request_key, const v1::SignIn* earlier) {
  const v1::Access* access = AccessFor(v1::SignInRequest::descriptor());
  const absl::Status may =
      Authorize(turn.fleet(), *access, event.caller, turn.settings(), turn.now());
  if (!may.ok()) return may;
  if (!IsRequestId(event.request_id)) {
    return absl::InvalidArgumentError(
        "request_id: give 1 to 64 of A-Z, a-z, 0-9, '_' and '-', another one for each request");
  }
  if ((earlier != nullptr && earlier->request_sha256() != RequestHash(event)) ||
      turn.fleet().answered.Find(request_key) != nullptr) {
    return absl::InvalidArgumentError("request_id: was used for another request; take a new one");
  }
  if (event.directory == DirectoryOutcome::kUnavailable) {
    return absl::UnavailableError("signing in is temporarily unavailable");
  }
  if (event.directory == DirectoryOutcome::kOverloaded) {
    return absl::ResourceExhaustedError("too many people sign in at once; try again in a moment");
  }
  if (event.token_sha256.size() != 32 || event.sign_in_id.empty()) {
    return absl::InternalError("the sign-in came without a token");
  }
  return absl::OkStatus();
}

}  // namespace

void HandleSignIn(Turn& turn, const SignInChecked& event) {
  std::string request_key = RequestKey(event.caller, event.request_id);
  const auto earlier = SignInByRequest(turn.state(), request_key, turn.now());
  const absl::Status status = CheckRequest(turn, event, request_key, earlier.get());
  if (!status.ok()) {
    turn.Note(Severity::kWarning, "sign-in",
              {{"user", Shown(event.typed_user)},
               {"result", std::string(status.message())},
               {"why", event.directory_detail},
               {"origin", Origin(event.caller)}});
    turn.Count("sign_ins", event.directory == DirectoryOutcome::kUnavailable  ? "unavailable"
                           : event.directory == DirectoryOutcome::kOverloaded ? "overloaded"
                                                                              : "invalid");
    return turn.Answer(event.call, status);
  }
  if (event.pauses_passwords) {
    turn.Audit("broker", "password-pause", absl::StrCat("user:", Shown(event.typed_user)), "ok",
               Origin(event.caller));
  }
  if (event.directory != DirectoryOutcome::kOk) {
    return Deny(turn, event, Shown(event.typed_user),
                event.directory_detail.empty() ? "denied" : event.directory_detail);
  }
  if (!IsUserName(event.person.user)) {
    return Deny(turn, event, Shown(event.typed_user), "the directory's name is not usable");
  }
  const auto token = turn.fleet().tokens.FindShared(event.person.user);
  const CodeVerdict code = JudgeCode(turn, event, token.get());
  const bool repeats = earlier != nullptr && IsRepeat(turn, event, *earlier, code);
  if (!repeats && !code.rule.empty()) {
    if (code.counts) CountWrongCode(turn, *token);
    return Deny(turn, event, event.person.user, code.rule);
  }
  const bool use_up = code.rule.empty() && !IsWaived(event);
  if (use_up) UseUpCode(turn, event, *token);
  if (repeats) return Repeat(turn, event, *earlier, use_up);
  Accept(turn, event, std::move(request_key));
}

void TouchSignIn(Turn& turn, const std::string& id) {
  const auto sign_in = turn.fleet().sign_ins.FindShared(id);
  if (sign_in == nullptr) return;
  if (turn.now() - absl::FromUnixMillis(sign_in->last_used_unix_ms()) < absl::Minutes(1)) return;
  v1::SignIn used = *sign_in;
  used.set_last_used_unix_ms(turn.now_ms());
  turn.Put(std::move(used));
}

void HandleSignInUsed(Turn& turn, const SignInUsed& event) {
  const std::string* id = turn.fleet().sign_in_by_token.Find(event.token_sha256);
  if (id == nullptr) return;
  const auto sign_in = turn.fleet().sign_ins.FindShared(*id);
  // A use that came late must not wake what has idled out.
  if (sign_in == nullptr ||
      SignInEnds(turn.fleet(), *sign_in, turn.settings(), turn.now()) <= turn.now()) {
    return;
  }
  TouchSignIn(turn, sign_in->id());
}

void EndSignIn(Turn& turn, const std::string& id) {
  const auto sign_in = turn.fleet().sign_ins.FindShared(id);
  if (sign_in == nullptr) return;
  DropCallsOf(turn, *sign_in);
  turn.EraseSignIn(id);
}

void SignInTimerFired(Turn& turn, const std::string& id) {
  const auto sign_in = turn.fleet().sign_ins.FindShared(id);
  if (sign_in == nullptr) return;
  const absl::Time ends = SignInEnds(turn.fleet(), *sign_in, turn.settings(), turn.now());
  if (ends > turn.now()) {
    turn.state().timers.Arm(SignInTimer(id), ends);
    return;
  }
  turn.Note(Severity::kInfo, "sign-in-ended", {{"sign_in", id}, {"user", sign_in->user()}});
  EndSignIn(turn, id);
}

}  // namespace werkplek
