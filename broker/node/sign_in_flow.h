// The rules of a sign-in on the node's side: what a request may look like, and the facts that go to
// the core. Pure but for the log.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/core/event.h"
#include "broker/model/fleet.h"
#include "broker/node/network.h"
#include "broker/node/ports.h"
#include "broker/token/token_authority.h"

namespace werkplek {

inline constexpr absl::string_view kAccessTokenPrefix = "wp1_";

// INVALID_ARGUMENT names the field that is empty or too long. Says nothing that the caller did not
// know: it looks at the request alone.
absl::Status CheckSignInShape(const v1::SignInRequest& request);

// `wp1_` and 32 bytes in URL-safe base64.
std::string MakeAccessToken(absl::string_view random_32_bytes);

// The employee's role, and each role that one of the person's groups gives. In order, each once.
std::vector<v1::Role> RolesOf(const std::vector<std::string>& groups,
                              const std::vector<std::pair<v1::Role, std::string>>& role_groups);

// The place whose wrong passwords count together (PlaceOf). Empty: a network where the password
// alone is enough, so that everybody is known there.
std::string TryPlaceOf(const Caller& caller, const std::vector<Network>& waived);

// Whether the person has signed in from there, however the name is typed.
bool IsKnownPlaceOf(const Fleet& fleet, const std::string& user, const std::string& place);

// What is known of one sign-in before the directory has answered.
struct SignInAttempt {
  CallId call = 0;
  Caller caller;
  std::string typed_user;
  std::string request_id;
  v1::ClientFacts client;
  std::string token_code;
  std::string access_token_sha256;
  std::string sign_in_id;
  // When it came: the code is judged at this time, however slow the directory is.
  absl::Time came;
  // The directory was asked for nobody, so that a malformed name takes the same way and time.
  bool malformed_name = false;
  // Another broker leads: the code is judged against this, which it gave.
  bool remote = false;
  std::shared_ptr<const v1::TokenEnrolment> enrolment;
};

// Judges the code, whatever the directory said, and gives both facts to the core.
SignInChecked JudgeSignIn(const SignInAttempt& attempt, DirectoryAnswer answer, const Fleet& fleet,
                          const TokenAuthority& tokens, const std::vector<Network>& waived,
                          const std::vector<std::pair<v1::Role, std::string>>& role_groups);

// An error for the log when this broker could not judge the code of somebody with the right
// password, and what to do.
void LogClosedSeal(const SignInChecked& checked);

}  // namespace werkplek
