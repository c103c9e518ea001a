#include "broker/core/tokens.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/sessions.h"
#include "broker/core/sign_in.h"
#include "broker/model/names.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status CheckUser(const std::string& user) {
  if (IsUserName(user)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "user: give a sign-in name, 1 to 64 of A-Z, a-z, 0-9, '.', '_', '@' and '-'");
}

std::string Person(const std::string& user) { return absl::StrCat("user:", user); }

// The person's enrolments: they have the name as the directory spells it, which whoever revokes one
// need not know.
std::vector<std::shared_ptr<const v1::TokenEnrolment>> TokensOf(const Fleet& fleet,
                                                                const std::string& user) {
  const std::string owner = OwnerKey(user);
  std::vector<std::shared_ptr<const v1::TokenEnrolment>> tokens;
  for (const auto& entry : fleet.tokens) {
    if (OwnerKey(entry.key) == owner) tokens.push_back(entry.record);
  }
  return tokens;
}

}  // namespace

CallAnswer EnrolToken(Turn& turn, const CallRequested& event, const v1::EnrolTokenRequest& request,
                      const std::string& actor) {
  RETURN_IF_ERROR(CheckUser(request.user()));
  if (event.sealed_seed.empty() || event.seed_id.empty()) {
    return absl::InternalError("the enrolment came without a seed");
  }
  v1::TokenEnrolment token;
  token.set_user(request.user());
  token.set_seed_id(event.seed_id);
  token.set_sealed_seed(event.sealed_seed);
  token.set_state(v1::TOKEN_STATE_PENDING);
  token.set_created_unix_ms(turn.now_ms());
  // Steps only ever grow, whatever the seed.
  if (const v1::TokenEnrolment* before = turn.fleet().tokens.Find(request.user())) {
    token.set_last_step(before->last_step());
  }
  turn.Put(std::move(token));
  turn.Audit(actor, "token-enrol", Person(request.user()), "ok", Origin(event.caller));
  return std::make_shared<const v1::EnrolTokenResponse>();
}

CallAnswer ConfirmToken(Turn& turn, const CallRequested& event,
                        const v1::ConfirmTokenRequest& request, const std::string& actor) {
  RETURN_IF_ERROR(CheckUser(request.user()));
  const auto before = turn.fleet().tokens.FindShared(request.user());
  if (before == nullptr || before->state() != v1::TOKEN_STATE_PENDING) {
    return absl::FailedPreconditionError(absl::StrCat("user: no enrolment of \"", request.user(),
                                                      "\" waits for its first code; enrol first"));
  }
  if (!event.seed_id.empty() && event.seed_id != before->seed_id()) {
    return absl::AbortedError("the enrolment was replaced meanwhile; try again");
  }
  const BrokerSettings& settings = turn.settings();
  if (before->failures() >= settings.token_failures_stop) {
    return absl::FailedPreconditionError("code: too many wrong codes; enrol again");
  }
  v1::TokenEnrolment token = *before;
  if (event.matched_step < 0 || event.matched_step <= before->last_step()) {
    // The count is kept although the call fails, or codes could be guessed here.
    token.set_failures(token.failures() + 1);
    turn.Put(std::move(token));
    turn.Audit(actor, "token-confirm", Person(request.user()),
               event.matched_step < 0 ? "wrong-code" : "code-used-already", Origin(event.caller));
    return absl::InvalidArgumentError("code: does not match; wait for the next code and enter it");
  }
  token.set_state(v1::TOKEN_STATE_ACTIVE);
  token.set_last_step(event.matched_step);
  token.set_failures(0);
  turn.Put(std::move(token));
  turn.Audit(actor, "token-confirm", Person(request.user()), "ok", Origin(event.caller));
  return std::make_shared<const v1::ConfirmTokenResponse>();
}

CallAnswer RevokeToken(Turn& turn, const CallRequested& event,
                       const v1::RevokeTokenRequest& request, const std::string& actor) {
  RETURN_IF_ERROR(CheckUser(request.user()));
  const auto tokens = TokensOf(turn.fleet(), request.user());
  if (tokens.empty()) {
    return absl::NotFoundError(absl::StrCat("\"", request.user(), "\" has no token"));
  }
  for (const auto& before : tokens) {
    v1::TokenEnrolment token = *before;
    token.set_state(v1::TOKEN_STATE_REVOKED);
    token.clear_sealed_seed();
    turn.Put(std::move(token));
    turn.Audit(actor, "token-revoke", Person(before->user()), "ok", Origin(event.caller));
  }
  return std::make_shared<const v1::RevokeTokenResponse>();
}

CallAnswer RevokeSignIns(Turn& turn, const CallRequested& event,
                         const v1::RevokeSignInsRequest& request, const std::string& actor) {
  std::vector<std::string> ids;
  std::string object;
  switch (request.which_case()) {
    case v1::RevokeSignInsRequest::kId:
      object = absl::StrCat("sign-in:", request.id());
      if (turn.fleet().sign_ins.Find(request.id()) == nullptr) {
        return absl::NotFoundError(absl::StrCat("there is no sign-in \"", request.id(), "\""));
      }
      ids.push_back(request.id());
      break;
    case v1::RevokeSignInsRequest::kUser: {
      RETURN_IF_ERROR(CheckUser(request.user()));
      object = Person(request.user());
      const auto of_user = turn.state().sign_ins_by_user.find(OwnerKey(request.user()));
      if (of_user != turn.state().sign_ins_by_user.end()) {
        ids.assign(of_user->second.begin(), of_user->second.end());
      }
      break;
    }
    case v1::RevokeSignInsRequest::kAll:
      if (!request.all())
        return absl::InvalidArgumentError("all: give true, or name an id or user");
      object = "all";
      for (const auto& entry : turn.fleet().sign_ins) ids.push_back(entry.key);
      break;
    default:
      return absl::InvalidArgumentError("which: give one of id, user, all");
  }
  turn.Audit(actor, "revoke-sign-ins", object, "ok", Origin(event.caller),
             {{"revoked", absl::StrCat(ids.size())}});
  for (const std::string& id : ids) EndSignIn(turn, id);
  // A display stays open when its sign-in ends by itself, so those of people are not all found by
  // their sign-ins.
  CloseDisplays(turn, request.user(), [&request](const v1::Session& session) {
    return !request.has_id() || session.sign_in() == request.id();
  });
  auto response = std::make_shared<v1::RevokeSignInsResponse>();
  response->set_revoked(static_cast<uint32_t>(ids.size()));
  return std::shared_ptr<const google::protobuf::Message>(std::move(response));
}

}  // namespace werkplek
