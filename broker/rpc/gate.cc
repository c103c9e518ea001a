#include "broker/rpc/gate.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/peer/peer_messages.h"
#include "broker/rpc/rpc_status.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

bool HasDeadline(const grpc::ServerContextBase& context) {
  return context.deadline() != std::chrono::system_clock::time_point::max();
}

// Password and code are, at every broker.
bool IsJudgedHere(const MethodInfo& method) {
  return method.method->input_type() == v1::SignInRequest::descriptor();
}

bool Streams(const google::protobuf::MethodDescriptor& method) {
  return method.client_streaming() || method.server_streaming();
}

}  // namespace

absl::StatusOr<Admitted> Gate::Admit(const grpc::ServerContextBase& context,
                                     const google::protobuf::Descriptor* request) {
  const std::string address = PeerAddress(context.peer());
  // The transport has verified a certificate of ours, whatever it names.
  parts_.connections->Proved(address);
  Admitted call;
  call.method = MethodFor(request);
  const std::string path = call.method == nullptr ? request->full_name() : call.method->path;
  absl::StatusOr<Caller> caller = callers_.Read(context, parts_.now());
  if (!caller.ok()) {
    LogRefusal("", address, path, caller.status(), "");
    return std::move(caller).status();
  }
  call.caller = *std::move(caller);
  if (absl::Status told = TakeBrowserAddress(context, call.caller); !told.ok()) {
    LogRefusal(call, told);
    return told;
  }
  call.picture = parts_.picture();
  if (absl::Status taken = TakeForwarded(context, call); !taken.ok()) {
    LogRefusal(call, taken);
    return taken;
  }
  if (absl::Status judged = Judge(context, call); !judged.ok()) {
    LogRefusal(call, judged);
    return judged;
  }
  return call;
}

absl::Status Gate::TakeForwarded(const grpc::ServerContextBase& context, Admitted& call) const {
  const auto [first, last] = context.client_metadata().equal_range(kForwardedCallerKey);
  if (first == last) return absl::OkStatus();
  if (call.caller.identity != v1::IDENTITY_BROKER || !parts_.forwards) {
    return absl::PermissionDeniedError("only a broker may forward calls, and not everywhere");
  }
  // Loops end here: what was forwarded once is decided here or not at all.
  if (call.picture == nullptr) {
    return parts_.leader == nullptr ? NotInCharge() : NotLeading(parts_.leader->leader());
  }
  if (IsRevoked(*call.picture, call.caller)) {
    return absl::PermissionDeniedError("the certificates of this broker were revoked");
  }
  v1::ForwardedCaller forwarded;
  if (std::next(first) != last ||
      !forwarded.ParseFromArray(first->second.data(), static_cast<int>(first->second.size()))) {
    return absl::InvalidArgumentError("the forwarded caller cannot be read");
  }
  ASSIGN_OR_RETURN(call.caller, FromForwarded(forwarded));
  return absl::OkStatus();
}

absl::Status Gate::Judge(const grpc::ServerContextBase& context, Admitted& call) const {
  const std::vector<v1::Identity>& here = parts_.identities;
  if (call.method == nullptr || call.method->access.identities().empty() ||
      std::find(here.begin(), here.end(), call.caller.identity) == here.end()) {
    return absl::PermissionDeniedError("this certificate may not make this call here");
  }
  static const Fleet& nobody = *new Fleet;
  const bool leads = call.picture != nullptr;
  const v1::Access& access = call.method->access;
  absl::Status allowed =
      Authorize(leads ? *call.picture : nobody, access, call.caller, parts_.settings, parts_.now());
  call.elsewhere =
      !leads && parts_.forwards && parts_.leader != nullptr && !IsJudgedHere(*call.method);
  if (call.elsewhere && (allowed.ok() || absl::IsUnauthenticated(allowed))) return absl::OkStatus();
  // Without a fleet nobody's sign-in is known; who may not call at all is told so even then.
  if (!leads && absl::IsUnauthenticated(allowed)) {
    allowed = NotInCharge();
  }
  if (!allowed.ok()) return allowed;
  if (!Streams(*call.method->method) && !HasDeadline(context)) {
    return absl::InvalidArgumentError("set a deadline (at most 10 s are of use)");
  }
  return absl::OkStatus();
}

void Gate::LogRefusal(const Admitted& call, const absl::Status& why) const {
  std::string detail;
  if (absl::IsUnauthenticated(why) && call.picture != nullptr) {
    detail = SignInFault(*call.picture, call.caller, parts_.settings, parts_.now());
  }
  LogRefusal(call.caller.peer, call.caller.address, call.method == nullptr ? "" : call.method->path,
             why, detail);
}

void Gate::LogRefusal(const std::string& peer, const std::string& address,
                      const std::string& method, const absl::Status& why,
                      const std::string& detail) const {
  const std::string code = absl::StatusCodeToString(why.code());
  std::vector<LogField> fields = {{"listener", parts_.listener},
                                  {"peer", peer},
                                  {"address", address},
                                  {"method", method},
                                  {"code", code},
                                  {"reason", std::string(why.message())}};
  if (!detail.empty()) fields.emplace_back("detail", detail);
  Log(Severity::kWarning, "call-refused", fields);
  if (parts_.observe) parts_.observe("rpc_refused", code);
}

}  // namespace werkplek
