// Token buckets, one per key. Decides only; time comes in.
#pragma once

#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace werkplek {

struct RateLimitSettings {
  // Takes that come back per second, and takes that may come at once.
  double per_second = 2;
  double burst = 20;
  // Keys remembered at once; beyond, new keys are refused until a bucket is full again.
  size_t max_keys = 65'536;
};

// Thread-safe.
class RateLimit {
 public:
  explicit RateLimit(RateLimitSettings settings) : settings_(settings) {}

  // Takes one from the key's bucket. Zero: taken; otherwise how long until there is one.
  // `now` is any clock that does not jump.
  absl::Duration Take(const std::string& key, absl::Duration now);

 private:
  const RateLimitSettings settings_;
  Mutex mutex_;
  // When the key's bucket will be full again; full ones are left out.
  absl::flat_hash_map<std::string, absl::Duration> full_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
