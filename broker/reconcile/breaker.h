// The circuit breaker of a pool: after a number of failed starts in a row no more are made, but for
// one probe now and then; a success, or a change of the pool or its image, closes it. What the
// hosts report of the image opens it too, before any start, for as long as they report it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace werkplek {

class Breaker {
 public:
  // True when this failure opened it.
  bool Failed(uint32_t limit, const std::string& why, absl::Duration probe_after, absl::Time now);
  // Forgets the failed starts. True when that closed it.
  bool Close();
  // Why no host can make a desktop of the pool's image; empty: one can. True when that opened or
  // closed it.
  bool SetFault(std::string fault);

  bool tripped() const { return !failed_.empty() || faulty(); }
  // No host has the image good.
  bool faulty() const { return !fault_.empty(); }
  // For people; empty while closed.
  const std::string& reason() const { return faulty() ? fault_ : failed_; }
  uint32_t failures() const { return failures_; }

  // Whether one start may be tried although it is open. Ask only when no start is in flight.
  bool ProbeDue(absl::Time now) const { return tripped() && now >= next_probe_; }
  void Probed(absl::Duration probe_after, absl::Time now) { next_probe_ = now + probe_after; }

 private:
  uint32_t failures_ = 0;
  std::string failed_;
  std::string fault_;
  absl::Time next_probe_ = absl::InfinitePast();
};

}  // namespace werkplek
