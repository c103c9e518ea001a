#include "broker/core/access.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/gateway.pb.h"
#include "werkplek/v1/peer.pb.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using Methods = std::map<const Descriptor*, MethodInfo>;

void AddMethods(const FileDescriptor* file, Methods& methods) {
  for (int s = 0; s < file->service_count(); ++s) {
    for (int m = 0; m < file->service(s)->method_count(); ++m) {
      const MethodDescriptor* method = file->service(s)->method(m);
      MethodInfo info;
      info.path = absl::StrCat("/", method->service()->full_name(), "/", method->name());
      info.method = method;
      info.access = method->options().GetExtension(v1::access);
      methods[method->input_type()] = std::move(info);
    }
  }
}

const Methods& AllMethods() {
  static const Methods* const kMethods = [] {
    auto* methods = new Methods;
    AddMethods(v1::SignInRequest::descriptor()->file(), *methods);
    AddMethods(v1::CreateResourceRequest::descriptor()->file(), *methods);
    AddMethods(v1::AgentReport::descriptor()->file(), *methods);
    AddMethods(v1::AnnounceGatewayRequest::descriptor()->file(), *methods);
    AddMethods(v1::GreetRequest::descriptor()->file(), *methods);
    return methods;
  }();
  return *kMethods;
}

// Whether a display is connected that was opened with this sign-in.
bool AtWork(const Fleet& fleet, const v1::SignIn& sign_in) {
  const std::string prefix = LiveSessionKey(sign_in.user(), "");
  for (auto at = fleet.live_sessions.After(prefix);
       at != fleet.live_sessions.end() && absl::StartsWith(at->key, prefix); ++at) {
    const v1::Session* session = fleet.sessions.Find(*at->record);
    if (session != nullptr && session->state() == v1::SESSION_STATE_ACTIVE &&
        session->sign_in() == sign_in.id()) {
      return true;
    }
  }
  return false;
}

}  // namespace

const MethodInfo* MethodFor(const Descriptor* request) {
  const auto at = AllMethods().find(request);
  return at == AllMethods().end() ? nullptr : &at->second;
}

const v1::Access* AccessFor(const Descriptor* request) {
  const MethodInfo* method = MethodFor(request);
  return method == nullptr || method->access.identities().empty() ? nullptr : &method->access;
}

std::shared_ptr<const v1::SignIn> SignInOf(const Fleet& fleet, const Caller& caller) {
  if (caller.token_sha256.empty()) return nullptr;
  const std::string* id = fleet.sign_in_by_token.Find(caller.token_sha256);
  return id == nullptr ? nullptr : fleet.sign_ins.FindShared(*id);
}

absl::Time SignInEnds(const Fleet& fleet, const v1::SignIn& sign_in, const BrokerSettings& settings,
                      absl::Time now) {
  const absl::Time absolute = absl::FromUnixMillis(sign_in.expires_unix_ms());
  const absl::Time idle = absl::FromUnixMillis(sign_in.last_used_unix_ms()) + settings.sign_in_idle;
  if (idle > now || absolute <= now) return std::min(absolute, idle);
  return AtWork(fleet, sign_in) ? std::min(absolute, now + settings.sign_in_idle)
                                : std::min(absolute, idle);
}

bool IsRevoked(const Fleet& fleet, const Caller& caller) {
  const v1::Revocation* revocation = fleet.revocations.Find(caller.peer);
  return revocation != nullptr &&
         caller.certificate_issued_unix_ms < revocation->issued_before_unix_ms();
}

bool IsThroughGateway(const v1::SignIn& sign_in) {
  return IdentityOfPeer(sign_in.peer()) == v1::IDENTITY_GATEWAY;
}

bool IsBoundTo(const v1::SignIn& sign_in, const Caller& caller) {
  const bool at_gateway = caller.identity == v1::IDENTITY_GATEWAY;
  if (IsThroughGateway(sign_in) || at_gateway) return IsThroughGateway(sign_in) && at_gateway;
  return EqualInConstantTime(sign_in.certificate_sha256(), caller.certificate_sha256);
}

std::string SignInFault(const Fleet& fleet, const Caller& caller, const BrokerSettings& settings,
                        absl::Time now) {
  if (caller.token_sha256.empty()) return "no token";
  const auto sign_in = SignInOf(fleet, caller);
  if (sign_in == nullptr) return "unknown token";
  if (!IsBoundTo(*sign_in, caller)) return "another machine";
  if (now >= absl::FromUnixMillis(sign_in->expires_unix_ms())) return "expired";
  if (SignInEnds(fleet, *sign_in, settings, now) <= now) return "idle";
  return "";
}

absl::Status Authorize(const Fleet& fleet, const v1::Access& access, const Caller& caller,
                       const BrokerSettings& settings, absl::Time now) {
  if (caller.identity == v1::IDENTITY_UNSPECIFIED ||
      std::count(access.identities().begin(), access.identities().end(), caller.identity) == 0) {
    return absl::PermissionDeniedError("this certificate may not make this call");
  }
  if (IsRevoked(fleet, caller)) {
    return absl::PermissionDeniedError(
        "the certificates of this machine were revoked; an administrator lets it join anew with a "
        "new code");
  }
  if (access.roles().empty()) return absl::OkStatus();
  if (!SignInFault(fleet, caller, settings, now).empty()) {
    return absl::UnauthenticatedError("sign in first");
  }
  const auto sign_in = SignInOf(fleet, caller);
  for (const int role : access.roles()) {
    if (std::count(sign_in->roles().begin(), sign_in->roles().end(), role) != 0) {
      return absl::OkStatus();
    }
  }
  return absl::PermissionDeniedError("this sign-in does not have the role for this call");
}

}  // namespace werkplek
