// What the leader's answer to a forwarded call means for its caller.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"

namespace werkplek {

// The status as the leader gave it. When it is the connection's instead (the leader went away, or
// was given up), UNAVAILABLE "temporarily unavailable": the transport's words tell of our insides
// and may look like a verdict. `retry_after` is the trailing metadata's; a broker's own UNAVAILABLE
// has it always.
absl::Status LeaderStatus(const grpc::Status& status, absl::string_view retry_after);

// The same, of a call that has ended.
absl::Status LeaderStatus(const grpc::Status& status, const grpc::ClientContext& context);

}  // namespace werkplek
