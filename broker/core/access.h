// Who may call what: the (access) option of the method, judged against the caller's certificate and
// sign-in. Deny by default. Pure and thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/core/event.h"
#include "broker/core/settings.h"
#include "broker/model/fleet.h"
#include "google/protobuf/descriptor.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {

// The method whose input is this message. Unique over all services.
struct MethodInfo {
  // "/werkplek.v1.AdminService/CreateResource".
  std::string path;
  const google::protobuf::MethodDescriptor* method = nullptr;
  v1::Access access;
};

// nullptr: no method takes this message.
const MethodInfo* MethodFor(const google::protobuf::Descriptor* request);

// The rule of the method that takes this message. nullptr: there is none, so nobody may call.
const v1::Access* AccessFor(const google::protobuf::Descriptor* request);

// Whether the caller's certificate was issued before its machine's certificates were revoked.
bool IsRevoked(const Fleet& fleet, const Caller& caller);

// Whether the sign-in was made by browser, through a gateway.
bool IsThroughGateway(const v1::SignIn& sign_in);

// Whether the sign-in counts where the caller is: one that was made through a gateway at every
// gateway and nowhere else, any other with the certificate that it was made with.
bool IsBoundTo(const v1::SignIn& sign_in, const Caller& caller);

// OK: the caller may. PERMISSION_DENIED: not with this certificate (also because it was revoked),
// or not with these roles. UNAUTHENTICATED: the method needs a sign-in, and the token is absent,
// unknown, expired, idled out or bound to another machine: one answer for all of these.
absl::Status Authorize(const Fleet& fleet, const v1::Access& access, const Caller& caller,
                       const BrokerSettings& settings, absl::Time now);

// The sign-in whose token the caller sent, also when it has expired. nullptr: none.
std::shared_ptr<const v1::SignIn> SignInOf(const Fleet& fleet, const Caller& caller);

// Why the caller's sign-in does not count, for the log: "no token", "unknown token", "expired",
// "idle", "another machine". Empty: it counts.
std::string SignInFault(const Fleet& fleet, const Caller& caller, const BrokerSettings& settings,
                        absl::Time now);

// When the sign-in ends if it is not used again. InfiniteFuture is never given: the absolute end
// bounds it. A display that is connected through this sign-in counts as use at `now`.
absl::Time SignInEnds(const Fleet& fleet, const v1::SignIn& sign_in, const BrokerSettings& settings,
                      absl::Time now);

}  // namespace werkplek
