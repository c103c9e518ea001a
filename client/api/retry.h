// When a call that failed is tried again, where, and after how long. Pure: time and chance come in.
#pragma once

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace werkplek {

struct RetryPolicy {
  // The delay before a second round over all brokers; doubles with each round.
  absl::Duration first_delay = absl::Milliseconds(100);
  // Short, since brokers change the lead within a second or two.
  absl::Duration max_delay = absl::Milliseconds(800);
  // The same while a broker is full.
  absl::Duration max_delay_full = absl::Seconds(5);
  // One broker is waited for so long to let us in, when there is another: the kernel of a broker
  // that stands still accepts connections all the same.
  absl::Duration connect_patience = absl::Milliseconds(500);
  // The deadline of one attempt.
  absl::Duration attempt_timeout = absl::Seconds(10);
  // No attempt begins later than this after the first.
  absl::Duration budget = absl::Seconds(30);
  int max_attempts = 200;
};

// The retries of one call. Brokers are tried in turn: the next one at once, until each had its
// chance; then after an exponential delay with jitter (half of it fixed, half by chance), so that
// clients which lost the same broker do not come back at the same moment.
class RetryPlan {
 public:
  struct Step {
    bool retry = false;
    absl::Duration delay;
    bool next_broker = false;
  };

  // `brokers` is at least 1.
  RetryPlan(const RetryPolicy& policy, size_t brokers) : policy_(policy), brokers_(brokers) {}

  // What to do after an attempt that failed with `code`. `retry_after` is what the broker asked for
  // (`retry-after-ms`); `elapsed` counts from the first attempt; `chance` is in [0, 1).
  Step After(absl::StatusCode code, std::optional<absl::Duration> retry_after,
             absl::Duration elapsed, double chance);

  // Something good came (a stream's message): counts anew.
  void Reset();

  int attempts() const { return attempts_; }

 private:
  const RetryPolicy policy_;
  const size_t brokers_;
  int attempts_ = 0;
  // Attempts of this round, and rounds that ended.
  size_t tried_ = 0;
  int rounds_ = 0;
};

// Whether the same request may be sent again after this failure.
bool IsRetryable(absl::StatusCode code);

}  // namespace werkplek
