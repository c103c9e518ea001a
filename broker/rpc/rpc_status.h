// The broker's statuses as answers to callers.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "broker/node/ports.h"
#include "broker/peer/leader_status.h"
#include "common/base/retry_after.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"

namespace werkplek {

// Trailing metadata in which a broker that does not lead tells agents where the leader listens for
// them, "ADDRESS:PORT"; also the key of a status' payload.
inline constexpr char kLeaderKey[] = "leader-agent-address";

// The delay a caller is told when the status does not carry one: of RESOURCE_EXHAUSTED, and of
// UNAVAILABLE, which mostly means that another broker is about to lead.
inline constexpr absl::Duration kDefaultRetryAfter = absl::Seconds(1);
inline constexpr absl::Duration kTryAgainAfter = absl::Milliseconds(200);

// The delay in the status; for RESOURCE_EXHAUSTED and UNAVAILABLE without one, the default; for
// others none.
std::optional<absl::Duration> RetryAfter(const absl::Status& status);

// UNAVAILABLE: nobody can be judged and nothing read yet.
absl::Status NotInCharge();
// The same, with the leader's name and its address for agents when they are known.
absl::Status NotLeading(const LeaderInfo& leader);

// The status for the wire. The messages of INTERNAL, UNKNOWN and DATA_LOSS speak of our insides, so
// they are logged and a plain sentence goes out instead. Adds `retry-after-ms` to the call's
// trailing metadata.
grpc::Status ToGrpc(const absl::Status& status, grpc::ServerContextBase* context);

}  // namespace werkplek
