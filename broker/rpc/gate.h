// What every call passes before its handler: who calls, may it, and in what time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/core/access.h"
#include "broker/core/settings.h"
#include "broker/node/broker_node.h"
#include "broker/peer/leader_link.h"
#include "broker/rpc/caller.h"
#include "broker/rpc/connection_limits.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/server_context.h"

namespace werkplek {

// One more of something, for metrics: ("rpc_refused", "PERMISSION_DENIED").
using RpcObserver = std::function<void(absl::string_view what, absl::string_view label)>;

struct GateParts {
  // For logs: "clients".
  std::string listener;
  // Who may call here at all, whatever the method.
  std::vector<v1::Identity> identities;
  BrokerSettings settings;
  // The fleet after the last commit; nullptr while this broker does not lead.
  std::function<Picture()> picture;
  std::function<absl::Time()> now;
  ConnectionLimits* connections = nullptr;
  RpcObserver observe;
  // The way to the leader, for calls that are not decided here; nullptr: this is the only broker.
  LeaderLink* leader = nullptr;
  // Whether calls of this listener are forwarded, and taken from other brokers.
  bool forwards = false;
};

// A call that may go on.
struct Admitted {
  // Who made the call first, when a broker forwarded it.
  Caller caller;
  const MethodInfo* method = nullptr;
  // The fleet that the caller was judged by; nullptr while this broker does not lead.
  Picture picture;
  // Another broker is to answer it.
  bool elsewhere = false;
};

// Thread-safe.
class Gate {
 public:
  explicit Gate(GateParts parts) : parts_(std::move(parts)) {}

  // In this order: a certificate that names a machine, a rule for the method, an identity that may
  // call here and may make this call, a deadline (unary calls), and the roles of the token's
  // sign-in. UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT (set a deadline) or UNAVAILABLE
  // (nobody can be judged yet), in words for people. Each refusal is one line in the log.
  //
  // While another broker leads, only what the certificate tells is judged, and the rest there. A
  // call that a broker forwarded is judged as its first caller's, and never forwarded again.
  // Anybody else who claims to forward is refused.
  absl::StatusOr<Admitted> Admit(const grpc::ServerContextBase& context,
                                 const google::protobuf::Descriptor* request);

  // One line in the log and one more for the metrics: a handler refused the call.
  void LogRefusal(const Admitted& call, const absl::Status& why) const;

  const BrokerSettings& settings() const { return parts_.settings; }
  absl::Time Now() const { return parts_.now(); }

 private:
  absl::Status Judge(const grpc::ServerContextBase& context, Admitted& call) const;
  // Puts the first caller of a forwarded call into `call`.
  absl::Status TakeForwarded(const grpc::ServerContextBase& context, Admitted& call) const;
  void LogRefusal(const std::string& peer, const std::string& address, const std::string& method,
                  const absl::Status& why, const std::string& detail) const;

  const GateParts parts_;
  CallerReader callers_;
};

}  // namespace werkplek
