#include "broker/directory/bind_verdict.h"

#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace werkplek {
namespace {

// RFC 4511 appendix A.1.
constexpr int kSuccess = 0;
constexpr int kConstraintViolation = 19;
constexpr int kNoSuchObject = 32;
constexpr int kInappropriateAuthentication = 48;
constexpr int kInvalidCredentials = 49;
constexpr int kUnwillingToPerform = 53;

// The policy control's errors.
constexpr int kPasswordExpired = 0;
constexpr int kAccountLocked = 1;
constexpr int kChangeAfterReset = 2;

// Active Directory says why in the text of its answer: "... data 532, v4563".
constexpr std::array<std::pair<absl::string_view, absl::string_view>, 9> kActiveDirectoryReasons = {
    {{"data 525", "unknown user"},
     {"data 52e", "wrong password"},
     {"data 530", "not allowed at this hour"},
     {"data 531", "not allowed from this machine"},
     {"data 532", "password expired"},
     {"data 533", "account disabled"},
     {"data 701", "account expired"},
     {"data 773", "password must be changed"},
     {"data 775", "account locked"}}};

std::string DeniedDetail(const BindReply& reply) {
  if (reply.policy_error == kPasswordExpired) return "password expired";
  if (reply.policy_error == kAccountLocked) return "account locked";
  if (reply.policy_error == kChangeAfterReset) return "password must be changed";
  for (const auto& [mark, reason] : kActiveDirectoryReasons) {
    if (absl::StrContains(reply.diagnostic, mark)) return std::string(reason);
  }
  if (reply.code == kInvalidCredentials) return "wrong password";
  return absl::StrCat("refused by the directory (LDAP result ", reply.code, ")");
}

std::string InWords(int seconds) {
  if (seconds >= 2 * 86'400) return absl::StrCat(seconds / 86'400, " days");
  if (seconds >= 2 * 3'600) return absl::StrCat(seconds / 3'600, " hours");
  return absl::StrCat(seconds / 60 + 1, " minutes");
}

std::vector<std::string> Notices(const BindReply& reply) {
  std::vector<std::string> notices;
  if (reply.policy_error == kChangeAfterReset) {
    notices.emplace_back("Your password was set by someone else: change it now.");
  }
  if (reply.grace_sign_ins >= 0) {
    notices.push_back(absl::StrCat(
        "Your password has expired: change it now. Sign-ins left: ", reply.grace_sign_ins, "."));
  } else if (reply.seconds_until_expiry >= 0) {
    notices.push_back(
        absl::StrCat("Your password expires in ", InWords(reply.seconds_until_expiry), "."));
  }
  return notices;
}

}  // namespace

BindVerdict JudgeBind(const BindReply& reply) {
  switch (reply.code) {
    case kSuccess:
      return {DirectoryOutcome::kOk, "", Notices(reply)};
    // 389 Directory Server answers 19 for a locked account and 53 for a disabled one.
    case kConstraintViolation:
    case kNoSuchObject:
    case kInappropriateAuthentication:
    case kInvalidCredentials:
    case kUnwillingToPerform:
      return {DirectoryOutcome::kDenied, DeniedDetail(reply), {}};
    default:
      return {DirectoryOutcome::kUnavailable,
              absl::StrCat("the server cannot judge passwords: LDAP result ", reply.code, " ",
                           reply.diagnostic),
              {}};
  }
}

}  // namespace werkplek
