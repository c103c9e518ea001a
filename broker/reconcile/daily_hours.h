// Hours of each day, on the clocks of a place.
#pragma once

#include "absl/time/time.h"

namespace werkplek {

struct DailyHours {
  // Minutes since midnight, 0 to 1439. From `from` up to, not including, `until`; past midnight
  // when `until` is not later than `from`.
  int from = 0;
  int until = 0;
  absl::TimeZone zone = absl::UTCTimeZone();
};

// Whether `now` is within the hours. Where clocks are put forward or back, what they show counts.
bool IsWithin(const DailyHours& hours, absl::Time now);

}  // namespace werkplek
