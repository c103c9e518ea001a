// Lines about what anybody outside may cause as often as they like.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/log.h"

namespace werkplek {

// Writes at most one line a second, so that a flood of refusals does not become a flood of lines,
// nor keep the thread that refuses from its work. Belongs to one thread; time comes in.
class RareLog {
 public:
  // A warning of `event`, with one more field: `more`, the lines that were left out since the one
  // before. `now` is any clock that does not jump.
  void Warn(absl::Duration now, absl::string_view event, std::vector<LogField> fields);

 private:
  absl::Duration last_ = -absl::InfiniteDuration();
  uint64_t left_out_ = 0;
};

}  // namespace werkplek
