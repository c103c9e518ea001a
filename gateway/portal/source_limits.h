// What the browsers of one address may ask of the brokers through this gateway: without it, one
// stranger uses up what the brokers take from the whole gateway.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "common/base/rare_log.h"
#include "common/base/rate_limit.h"
#include "common/metrics/metrics.h"

namespace werkplek {

// Belongs to the portal's thread; time comes in.
class SourceLimits {
 public:
  enum class Asked { kSignIn, kOther };

  // `metrics` outlives this.
  SourceLimits(const RateLimitSettings& sign_ins, const RateLimitSettings& others, Metrics* metrics)
      : sign_ins_(sign_ins), others_(others), metrics_(metrics) {}

  // Zero: a broker may be asked. Otherwise how long a person should wait first; the refusal is
  // counted and logged. `source` is as SourceOf gives it, `now` any clock that does not jump.
  absl::Duration Take(Asked what, const std::string& source, absl::Duration now);

 private:
  RateLimit sign_ins_;
  RateLimit others_;
  Metrics* const metrics_;
  RareLog log_;
};

// Counts what a browser was refused, by the limit that it was beyond.
void CountBeyondLimit(Metrics& metrics, const char* limit);

}  // namespace werkplek
