// How far this machine's wall clock is from those of others. Pure.
#pragma once

#include <algorithm>
#include <vector>

#include "absl/time/time.h"

namespace werkplek {

// What another machine said of the time between two readings of our own clock: `said` is its time
// in whole seconds, rounded down.
struct ClockReading {
  absl::Time asked;
  absl::Time said;
  absl::Time answered;
};

// By how much our clock is surely behind (positive) or ahead (negative) of the other one; zero when
// the two may agree.
inline absl::Duration SureOffset(const ClockReading& reading) {
  const absl::Duration least = reading.said - reading.answered;
  const absl::Duration most = reading.said + absl::Seconds(1) - reading.asked;
  if (least > absl::ZeroDuration()) return least;
  return std::min(most, absl::ZeroDuration());
}

// Whether our clock is the wrong one: it is further than `most` from more than half of the others.
// A single other one, or none, proves nothing.
inline bool ClockIsOff(const std::vector<absl::Duration>& offsets, absl::Duration most) {
  const auto differs = [most](absl::Duration offset) { return absl::AbsDuration(offset) > most; };
  const auto far = std::count_if(offsets.begin(), offsets.end(), differs);
  return offsets.size() > 1 && 2 * static_cast<size_t>(far) > offsets.size();
}

}  // namespace werkplek
