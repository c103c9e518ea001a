// A status that says when to try again.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

// The key of the status' payload, in milliseconds; also of the trailing metadata in which a broker
// says it.
inline constexpr char kRetryAfterKey[] = "retry-after-ms";

// The status with a delay for its caller, at least a millisecond.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// The status with what an answer said of that; empty: nothing.
absl::Status WithRetryAfterText(absl::Status status, absl::string_view text);

// The delay in the status. Zero: it says none.
absl::Duration RetryDelayOf(const absl::Status& status);

// What a person is told: "0 minutes" is no time to wait.
int64_t WholeMinutes(absl::Duration delay);

}  // namespace werkplek
