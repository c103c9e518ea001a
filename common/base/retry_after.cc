#include "common/base/retry_after.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace werkplek {

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  const int64_t ms =
      std::max<int64_t>(1, absl::ToInt64Milliseconds(absl::Ceil(delay, absl::Milliseconds(1))));
  status.SetPayload(kRetryAfterKey, absl::Cord(absl::StrCat(ms)));
  return status;
}

absl::Status WithRetryAfterText(absl::Status status, absl::string_view text) {
  if (!text.empty()) status.SetPayload(kRetryAfterKey, absl::Cord(text));
  return status;
}

absl::Duration RetryDelayOf(const absl::Status& status) {
  int64_t ms = 0;
  const auto payload = status.GetPayload(kRetryAfterKey);
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &ms) || ms < 0) {
    return absl::ZeroDuration();
  }
  return absl::Milliseconds(ms);
}

int64_t WholeMinutes(absl::Duration delay) {
  return absl::ToInt64Minutes(absl::Ceil(std::max(delay, absl::Minutes(1)), absl::Minutes(1)));
}

}  // namespace werkplek
