// Callers and sign-ins as brokers tell them to each other. Pure.
#pragma once

#include "absl/status/statusor.h"
#include "broker/core/event.h"
#include "werkplek/v1/peer.pb.h"

namespace werkplek {

// The metadata key of a forwarded call: a serialised ForwardedCaller.
inline constexpr char kForwardedCallerKey[] = "werkplek-caller-bin";

v1::ForwardedCaller ToForwarded(const Caller& caller);
// INVALID_ARGUMENT: a field does not have its form. Whether the caller may call is judged later.
absl::StatusOr<Caller> FromForwarded(const v1::ForwardedCaller& forwarded);

// Without the call's number, which each broker gives itself.
v1::SubmitSignInRequest ToSubmission(const SignInChecked& checked);
// INVALID_ARGUMENT as above, also for a role or a verdict that there is not.
absl::StatusOr<SignInChecked> FromSubmission(const v1::SubmitSignInRequest& submission);

}  // namespace werkplek
