#include "broker/rpc/rpc_status.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace werkplek {

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const absl::Duration said = RetryDelayOf(status);
  if (said > absl::ZeroDuration()) return said;
  if (status.code() == absl::StatusCode::kResourceExhausted) return kDefaultRetryAfter;
  if (status.code() == absl::StatusCode::kUnavailable) return kTryAgainAfter;
  return std::nullopt;
}

absl::Status NotInCharge() {
  return absl::UnavailableError("the broker is starting or not in charge; try again");
}

absl::Status NotLeading(const LeaderInfo& leader) {
  if (leader.epoch == 0) {
    return absl::UnavailableError("this broker does not lead, and knows no leader; try again");
  }
  absl::Status status = absl::UnavailableError(
      absl::StrCat("this broker does not lead; the leader is ", leader.name));
  status.SetPayload(kLeaderKey, absl::Cord(leader.agent_address));
  return status;
}

grpc::Status ToGrpc(const absl::Status& status, grpc::ServerContextBase* context) {
  if (status.ok()) return grpc::Status::OK;
  if (const std::optional<absl::Duration> delay = RetryAfter(status); delay.has_value()) {
    context->AddTrailingMetadata(kRetryAfterKey, absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
  if (const auto leader = status.GetPayload(kLeaderKey); leader.has_value()) {
    context->AddTrailingMetadata(kLeaderKey, std::string(*leader));
  }
  std::string message(status.message());
  if (status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown ||
      status.code() == absl::StatusCode::kDataLoss) {
    Log(Severity::kError, "call-failed",
        {{"code", absl::StatusCodeToString(status.code())}, {"error", message}});
    message = "something went wrong inside the broker; its log says what";
  }
  // The two libraries number their codes alike (absl/status/status.h).
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()), message);
}

}  // namespace werkplek
