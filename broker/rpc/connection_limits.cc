#include "broker/rpc/connection_limits.h"

#include <iterator>

#include "common/base/source.h"

namespace werkplek {

Admission ConnectionLimits::Open(const std::string& peer, absl::Duration now) {
  MutexLock lock(mutex_);
  Expire(now);
  Forget(peer);  // the same port again: the connection before it is gone
  if (opened_.size() >= settings_.max_unproved) return Admission::kTooMany;
  size_t& of_source = of_source_[SourceOf(peer)];
  if (of_source >= settings_.max_unproved_per_source) return Admission::kTooManyOfSource;
  ++of_source;
  opened_[peer] = now;
  by_time_.emplace(now, peer);
  return Admission::kAdmitted;
}

void ConnectionLimits::Proved(const std::string& peer) {
  MutexLock lock(mutex_);
  Forget(peer);
}

size_t ConnectionLimits::unproved(absl::Duration now) {
  MutexLock lock(mutex_);
  Expire(now);
  return opened_.size();
}

bool ConnectionLimits::Crowded(absl::Duration now) {
  MutexLock lock(mutex_);
  if (by_time_.size() < settings_.max_handshakes) return false;
  const auto oldest = std::prev(by_time_.end(), static_cast<ptrdiff_t>(settings_.max_handshakes));
  return now < oldest->first + settings_.handshake_takes;
}

void ConnectionLimits::Expire(absl::Duration now) {
  while (!by_time_.empty() && by_time_.begin()->first + settings_.counts_for <= now) {
    const std::string peer = by_time_.begin()->second;
    Forget(peer);
  }
}

void ConnectionLimits::Forget(const std::string& peer) {
  const auto found = opened_.find(peer);
  if (found == opened_.end()) return;
  by_time_.erase({found->second, peer});
  opened_.erase(found);
  const auto source = of_source_.find(SourceOf(peer));
  if (source != of_source_.end() && --source->second == 0) of_source_.erase(source);
}

}  // namespace werkplek
