#include "broker/node/sign_in_flow.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "broker/core/places.h"
#include "broker/core/state.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"
#include "common/base/log.h"

namespace werkplek {
namespace {

constexpr size_t kMaxUserBytes = 64;
constexpr size_t kMaxPasswordBytes = 1024;
constexpr size_t kMaxCodeBytes = 16;
constexpr size_t kMaxFactBytes = 256;

absl::Status Bounded(absl::string_view field, size_t size, size_t least, size_t most) {
  if (size >= least && size <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": must have ", least, " to ", most, " bytes"));
}

// A network is known by the machines in it; who comes through a gateway may be anywhere.
bool IsWaived(const Caller& caller, const std::vector<Network>& waived) {
  return caller.identity != v1::IDENTITY_GATEWAY && AnyContains(waived, caller.address);
}

}  // namespace

absl::Status CheckSignInShape(const v1::SignInRequest& request) {
  if (!IsRequestId(request.request_id())) {
    return absl::InvalidArgumentError("request_id: must be 1 to 64 of [A-Za-z0-9_-]");
  }
  const v1::ClientFacts& client = request.client();
  for (const absl::Status& status :
       {Bounded("user", request.user().size(), 1, kMaxUserBytes),
        Bounded("password", request.password().size(), 1, kMaxPasswordBytes),
        Bounded("token_code", request.token_code().size(), 0, kMaxCodeBytes),
        Bounded("client.program", client.program().size(), 0, kMaxFactBytes),
        Bounded("client.system", client.system().size(), 0, kMaxFactBytes),
        Bounded("client.host_name", client.host_name().size(), 0, kMaxFactBytes),
        Bounded("client.language", client.language().size(), 0, kMaxFactBytes)}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string MakeAccessToken(absl::string_view random_32_bytes) {
  return absl::StrCat(kAccessTokenPrefix, Base64UrlEncode(random_32_bytes));
}

std::vector<v1::Role> RolesOf(const std::vector<std::string>& groups,
                              const std::vector<std::pair<v1::Role, std::string>>& role_groups) {
  std::set<v1::Role> roles = {v1::ROLE_EMPLOYEE};
  for (const auto& [role, wanted] : role_groups) {
    for (const std::string& group : groups) {
      if (GroupIs(wanted, group)) roles.insert(role);
    }
  }
  return {roles.begin(), roles.end()};
}

std::string TryPlaceOf(const Caller& caller, const std::vector<Network>& waived) {
  return IsWaived(caller, waived) ? std::string() : PlaceOf(caller);
}

bool IsKnownPlaceOf(const Fleet& fleet, const std::string& user, const std::string& place) {
  if (place.empty()) return true;
  const v1::TokenEnrolment* token = fleet.tokens.Find(user);
  if (token == nullptr) token = TokenOf(fleet, user);
  return token != nullptr && IsKnownPlace(*token, place);
}

SignInChecked JudgeSignIn(const SignInAttempt& attempt, DirectoryAnswer answer, const Fleet& fleet,
                          const TokenAuthority& tokens, const std::vector<Network>& waived,
                          const std::vector<std::pair<v1::Role, std::string>>& role_groups) {
  SignInChecked checked;
  checked.call = attempt.call;
  checked.caller = attempt.caller;
  checked.typed_user = attempt.typed_user;
  checked.request_id = attempt.request_id;
  checked.client = attempt.client;
  checked.directory = answer.outcome;
  checked.directory_detail = std::move(answer.detail);
  checked.token_sha256 = attempt.access_token_sha256;
  checked.sign_in_id = attempt.sign_in_id;
  if (attempt.malformed_name && answer.outcome == DirectoryOutcome::kOk) {
    checked.directory = DirectoryOutcome::kDenied;
  }
  if (attempt.malformed_name) checked.directory_detail = "malformed name";
  const bool person_known = checked.directory == DirectoryOutcome::kOk;
  // The code is judged in every case, so that its time tells nothing of the password.
  const v1::TokenEnrolment* enrolment =
      fleet.tokens.Find(person_known ? answer.person.user : attempt.typed_user);
  checked.matched_step = tokens.MatchedStep(enrolment, attempt.token_code, attempt.came);
  // Without it the code counts neither as right nor as wrong.
  if (enrolment != nullptr && checked.matched_step != TokenAuthority::kSealClosed) {
    checked.seed_id = enrolment->seed_id();
  }
  checked.token_waived = IsWaived(attempt.caller, waived);
  if (person_known) {
    checked.roles = RolesOf(answer.person.groups, role_groups);
    checked.person = std::move(answer.person);
    checked.notices = std::move(answer.notices);
  }
  return checked;
}

void LogClosedSeal(const SignInChecked& checked) {
  if (checked.matched_step != TokenAuthority::kSealClosed ||
      checked.directory != DirectoryOutcome::kOk) {
    return;
  }
  Log(Severity::kError, "token-seal-closed",
      {{"user", checked.person.user},
       {"do",
        "the key in sealing_key_file is not the one that sealed this person's token: copy "
        "the file of the broker where it was enrolled, or enrol the person anew"}});
}

}  // namespace werkplek
