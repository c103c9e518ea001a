// The clock for timeouts and for limits of connections and rates: never jumps, runs on through a
// suspend.
#pragma once

#include <ctime>

#include "absl/time/time.h"

namespace werkplek {

inline absl::Duration MonotonicNow() {
  timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace werkplek
