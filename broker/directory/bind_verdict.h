// What a server's answer to a person's bind means. Pure.
#pragma once

#include <string>
#include <vector>

#include "broker/core/event.h"

namespace werkplek {

// The fields of a bind response that count.
struct BindReply {
  // RFC 4511 appendix A, or a negative code of libldap.
  int code = 0;
  std::string diagnostic;
  // The password policy response control (draft-behera-ldap-password-policy-10, section 6.2); -1
  // where the server said nothing.
  int seconds_until_expiry = -1;
  int grace_sign_ins = -1;
  int policy_error = -1;
};

struct BindVerdict {
  // kUnavailable: this server cannot judge; another one may.
  DirectoryOutcome outcome = DirectoryOutcome::kUnavailable;
  // For the log only.
  std::string detail;
  // For the person, who has just proved the password. Only with kOk.
  std::vector<std::string> notices;
};

BindVerdict JudgeBind(const BindReply& reply);

}  // namespace werkplek
