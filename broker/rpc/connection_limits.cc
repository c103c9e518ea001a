#include "broker/rpc/connection_limits.h"

namespace werkplek {

absl::string_view SourceOf(absl::string_view peer) { return peer.substr(0, peer.rfind(':')); }

Admission ConnectionLimits::Open(const std::string& peer, absl::Duration now) {
  MutexLock lock(mutex_);
  Expire(now);
  Forget(peer);  // the same port again: the connection before it is gone
  if (opened_.size() >= settings_.max_unproved) return Admission::kTooMany;
  size_t& of_source = of_source_[std::string(SourceOf(peer))];
  if (of_source >= settings_.max_unproved_per_source) return Admission::kTooManyOfSource;
  ++of_source;
  opened_[peer] = now;
  order_.emplace_back(now, peer);
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

void ConnectionLimits::Expire(absl::Duration now) {
  while (!order_.empty() && order_.front().first + settings_.counts_for <= now) {
    const auto found = opened_.find(order_.front().second);
    // Proved since, or the port was used anew: then a younger entry stands for it.
    if (found != opened_.end() && found->second == order_.front().first) {
      Forget(order_.front().second);
    }
    order_.pop_front();
  }
}

void ConnectionLimits::Forget(const std::string& peer) {
  if (opened_.erase(peer) == 0) return;
  const auto source = of_source_.find(std::string(SourceOf(peer)));
  if (source != of_source_.end() && --source->second == 0) of_source_.erase(source);
}

}  // namespace werkplek
