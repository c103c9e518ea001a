#include "client/api/retry.h"

#include <algorithm>

namespace werkplek {

bool IsRetryable(absl::StatusCode code) {
  // An attempt that ran out of time may have had its effect; the request id makes it safe to ask
  // again.
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kResourceExhausted ||
         code == absl::StatusCode::kDeadlineExceeded;
}

RetryPlan::Step RetryPlan::After(absl::StatusCode code, std::optional<absl::Duration> retry_after,
                                 absl::Duration elapsed, double chance) {
  ++attempts_;
  Step step;
  if (!IsRetryable(code) || attempts_ >= policy_.max_attempts) return step;
  // A broker that is full speaks for all: they share one leader.
  const bool full = code == absl::StatusCode::kResourceExhausted;
  ++tried_;
  step.next_broker = !full;
  if (full || tried_ >= brokers_) {
    absl::Duration delay = policy_.first_delay;
    const absl::Duration most = full ? policy_.max_delay_full : policy_.max_delay;
    for (int round = 0; round < rounds_ && delay < most; ++round) delay *= 2;
    delay = std::min(delay, most);
    step.delay = delay * (0.5 + 0.5 * chance);
    // Asked to wait longer: a little more by chance, so that not all return at once.
    if (retry_after.has_value()) {
      step.delay = std::max(step.delay, *retry_after * (1.0 + 0.1 * chance));
    }
    tried_ = 0;
    ++rounds_;
  }
  step.retry = elapsed + step.delay <= policy_.budget;
  return step;
}

void RetryPlan::Reset() {
  attempts_ = 0;
  tried_ = 0;
  rounds_ = 0;
}

}  // namespace werkplek
