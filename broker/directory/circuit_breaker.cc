#include "broker/directory/circuit_breaker.h"

namespace werkplek {

bool CircuitBreaker::TimedOut(absl::Duration now) {
  failures_.push_back(now);
  while (failures_.front() + kWindow < now) failures_.pop_front();
  if (open_ || failures_.size() < kFailures) return false;
  open_ = true;
  failures_.clear();
  next_probe_ = now + kProbeEvery;
  return true;
}

bool CircuitBreaker::ConnectFailed(absl::Duration now) {
  if (!suspect()) next_probe_ = now + kProbeEvery;
  suspect_ = true;
  return TimedOut(now);
}

void CircuitBreaker::Connected() {
  open_ = false;
  suspect_ = false;
  failures_.clear();
}

bool CircuitBreaker::TakeProbe(absl::Duration now) {
  if (!suspect() || now < next_probe_) return false;
  next_probe_ = now + kProbeEvery;
  return true;
}

}  // namespace werkplek
