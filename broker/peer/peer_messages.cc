#include "broker/peer/peer_messages.h"

#include <string>
#include <utility>

#include "broker/model/names.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kSha256Bytes = 32;
constexpr size_t kMaxAddressBytes = 128;

// "client/tc-017" under IDENTITY_CLIENT. Hosts attach to the leader themselves, and brokers speak
// for others only.
bool IsPeerOf(v1::Identity identity, absl::string_view peer) {
  const bool comes = identity == v1::IDENTITY_CLIENT || identity == v1::IDENTITY_GATEWAY ||
                     identity == v1::IDENTITY_ADMIN;
  return comes && IdentityOfPeer(peer) == identity;
}

v1::DirectoryVerdict ToVerdict(DirectoryOutcome outcome) {
  switch (outcome) {
    case DirectoryOutcome::kOk:
      return v1::DIRECTORY_VERDICT_OK;
    case DirectoryOutcome::kDenied:
      return v1::DIRECTORY_VERDICT_DENIED;
    case DirectoryOutcome::kUnavailable:
      return v1::DIRECTORY_VERDICT_UNAVAILABLE;
    case DirectoryOutcome::kOverloaded:
      return v1::DIRECTORY_VERDICT_OVERLOADED;
  }
  return v1::DIRECTORY_VERDICT_UNSPECIFIED;
}

absl::StatusOr<DirectoryOutcome> FromVerdict(v1::DirectoryVerdict verdict) {
  switch (verdict) {
    case v1::DIRECTORY_VERDICT_OK:
      return DirectoryOutcome::kOk;
    case v1::DIRECTORY_VERDICT_DENIED:
      return DirectoryOutcome::kDenied;
    case v1::DIRECTORY_VERDICT_UNAVAILABLE:
      return DirectoryOutcome::kUnavailable;
    case v1::DIRECTORY_VERDICT_OVERLOADED:
      return DirectoryOutcome::kOverloaded;
    default:
      return absl::InvalidArgumentError("directory: give OK, DENIED, UNAVAILABLE or OVERLOADED");
  }
}

}  // namespace

v1::ForwardedCaller ToForwarded(const Caller& caller) {
  v1::ForwardedCaller forwarded;
  forwarded.set_identity(caller.identity);
  forwarded.set_peer(caller.peer);
  forwarded.set_certificate_sha256(caller.certificate_sha256);
  forwarded.set_certificate_issued_unix_ms(caller.certificate_issued_unix_ms);
  forwarded.set_address(caller.address);
  forwarded.set_token_sha256(caller.token_sha256);
  return forwarded;
}

absl::StatusOr<Caller> FromForwarded(const v1::ForwardedCaller& forwarded) {
  if (!IsPeerOf(forwarded.identity(), forwarded.peer())) {
    return absl::InvalidArgumentError(
        "caller: must be a client, a gateway or an admin machine, by its full name");
  }
  if (forwarded.certificate_sha256().size() != kSha256Bytes) {
    return absl::InvalidArgumentError("caller: certificate_sha256 must have 32 bytes");
  }
  if (!forwarded.token_sha256().empty() && forwarded.token_sha256().size() != kSha256Bytes) {
    return absl::InvalidArgumentError("caller: token_sha256 must have 32 bytes, or none");
  }
  if (forwarded.address().empty() || forwarded.address().size() > kMaxAddressBytes) {
    return absl::InvalidArgumentError("caller: address must have 1 to 128 bytes");
  }
  Caller caller;
  caller.identity = forwarded.identity();
  caller.peer = forwarded.peer();
  caller.certificate_sha256 = forwarded.certificate_sha256();
  caller.certificate_issued_unix_ms = forwarded.certificate_issued_unix_ms();
  caller.address = forwarded.address();
  caller.token_sha256 = forwarded.token_sha256();
  return caller;
}

v1::SubmitSignInRequest ToSubmission(const SignInChecked& checked) {
  v1::SubmitSignInRequest submission;
  *submission.mutable_caller() = ToForwarded(checked.caller);
  submission.set_request_id(checked.request_id);
  submission.set_typed_user(checked.typed_user);
  *submission.mutable_client() = checked.client;
  submission.set_directory(ToVerdict(checked.directory));
  submission.set_directory_detail(checked.directory_detail);
  for (const std::string& notice : checked.notices) submission.add_notices(notice);
  submission.set_user(checked.person.user);
  submission.set_user_dn(checked.person.dn);
  submission.set_display_name(checked.person.display_name);
  for (const std::string& group : checked.person.groups) submission.add_groups(group);
  for (const v1::Role role : checked.roles) submission.add_roles(role);
  submission.set_token_waived(checked.token_waived);
  submission.set_seed_id(checked.seed_id);
  submission.set_matched_step(checked.matched_step);
  submission.set_token_sha256(checked.token_sha256);
  submission.set_sign_in_id(checked.sign_in_id);
  return submission;
}

absl::StatusOr<SignInChecked> FromSubmission(const v1::SubmitSignInRequest& submission) {
  SignInChecked checked;
  ASSIGN_OR_RETURN(checked.caller, FromForwarded(submission.caller()));
  ASSIGN_OR_RETURN(checked.directory, FromVerdict(submission.directory()));
  checked.request_id = submission.request_id();
  checked.typed_user = submission.typed_user();
  checked.client = submission.client();
  checked.directory_detail = submission.directory_detail();
  checked.notices.assign(submission.notices().begin(), submission.notices().end());
  checked.person.user = submission.user();
  checked.person.dn = submission.user_dn();
  checked.person.display_name = submission.display_name();
  checked.person.groups.assign(submission.groups().begin(), submission.groups().end());
  for (const int role : submission.roles()) {
    if (!v1::Role_IsValid(role) || role == v1::ROLE_UNSPECIFIED) {
      return absl::InvalidArgumentError("roles: there is no such role");
    }
    checked.roles.push_back(static_cast<v1::Role>(role));
  }
  checked.token_waived = submission.token_waived();
  checked.seed_id = submission.seed_id();
  checked.matched_step = submission.matched_step();
  checked.token_sha256 = submission.token_sha256();
  checked.sign_in_id = submission.sign_in_id();
  return checked;
}

}  // namespace werkplek
