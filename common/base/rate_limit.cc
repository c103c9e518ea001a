#include "common/base/rate_limit.h"

#include <algorithm>

namespace werkplek {

absl::Duration RateLimit::Take(const std::string& key, absl::Duration now) {
  const absl::Duration interval = absl::Seconds(1) / settings_.per_second;
  MutexLock lock(mutex_);
  auto found = full_at_.find(key);
  if (found == full_at_.end()) {
    if (full_at_.size() >= settings_.max_keys) {
      absl::erase_if(full_at_, [now](const auto& entry) { return entry.second <= now; });
      if (full_at_.size() >= settings_.max_keys) return interval;
    }
    found = full_at_.emplace(key, now).first;
  }
  // An empty bucket is full after `burst` intervals; a take moves that moment by one interval.
  const absl::Duration full_at = std::max(found->second, now) + interval;
  const absl::Duration over = full_at - now - interval * settings_.burst;
  if (over > absl::ZeroDuration()) return over;
  found->second = full_at;
  return absl::ZeroDuration();
}

}  // namespace werkplek
