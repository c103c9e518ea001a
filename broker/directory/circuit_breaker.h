// Stops asking a server that does not answer: 10 failures within 10 s open the circuit; from then
// on it is probed every 5 s until one probe succeeds. A server that could not be connected to is
// suspect: asked only when no other is left, and probed too. Pure: time is an argument, from any
// clock that never jumps.
#pragma once

#include <deque>

#include "absl/time/time.h"

namespace werkplek {

class CircuitBreaker {
 public:
  static constexpr int kFailures = 10;
  static constexpr absl::Duration kWindow = absl::Seconds(10);
  static constexpr absl::Duration kProbeEvery = absl::Seconds(5);

  // An operation had no answer in time. True when this opened the circuit.
  bool TimedOut(absl::Duration now);
  // A connection could not be made. True when this opened the circuit.
  bool ConnectFailed(absl::Duration now);
  // A connection was made.
  void Connected();

  bool open() const { return open_; }
  bool suspect() const { return open_ || suspect_; }
  // Whether a probe is due; the next one is then due kProbeEvery later.
  bool TakeProbe(absl::Duration now);

 private:
  std::deque<absl::Duration> failures_;
  bool open_ = false;
  bool suspect_ = false;
  absl::Duration next_probe_;
};

}  // namespace werkplek
