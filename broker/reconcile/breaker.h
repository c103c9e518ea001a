// The circuit breaker of a pool: after a number of failed starts in a row no more are made, but for
// one probe now and then; a success, or a change of the pool or its image, closes it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace werkplek {

class Breaker {
 public:
  // True when this failure opened it.
  bool Failed(uint32_t limit, const std::string& why, absl::Duration probe_after, absl::Time now);
  // True when it was open.
  bool Close();

  bool tripped() const { return !reason_.empty(); }
  // For people; empty while closed.
  const std::string& reason() const { return reason_; }
  uint32_t failures() const { return failures_; }

  // Whether one start may be tried although it is open. Ask only when no start is in flight.
  bool ProbeDue(absl::Time now) const { return tripped() && now >= next_probe_; }
  void Probed(absl::Duration probe_after, absl::Time now) { next_probe_ = now + probe_after; }

 private:
  uint32_t failures_ = 0;
  std::string reason_;
  absl::Time next_probe_ = absl::InfinitePast();
};

}  // namespace werkplek
