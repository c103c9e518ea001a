// The time that a leading broker decides by. Pure.
//
// Silence, deadlines and lifetimes must not end because somebody sets the clock. So this time runs
// as evenly as the clock that never jumps, begins with the wall's, and where the two differ it goes
// back to the wall's at a tenth of a second in each second.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace werkplek {

class SteadyTime {
 public:
  SteadyTime(absl::Time wall, absl::Duration monotonic) : now_(wall), read_at_(monotonic) {}

  // Never less than before.
  absl::Time Now(absl::Time wall, absl::Duration monotonic) {
    const absl::Duration passed = std::max(monotonic - read_at_, absl::ZeroDuration());
    read_at_ += passed;
    now_ += passed;
    now_ += std::clamp(wall - now_, -passed / 10, passed / 10);
    return now_;
  }

 private:
  absl::Time now_;
  absl::Duration read_at_;
};

}  // namespace werkplek
