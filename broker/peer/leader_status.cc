#include "broker/peer/leader_status.h"

#include "broker/node/broker_node.h"
#include "common/grpc/retry_after.h"

namespace werkplek {

absl::Status LeaderStatus(const grpc::Status& status, absl::string_view retry_after) {
  if (status.ok()) return absl::OkStatus();
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      if (retry_after.empty()) return TryAgain();
      break;
    // A server that is killed or stops ends calls with these; our services never do.
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
      return TryAgain();
    default:
      break;
  }
  return WithRetryAfterText(
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()),
      retry_after);
}

absl::Status LeaderStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  return LeaderStatus(status, RetryAfterText(context));
}

}  // namespace werkplek
