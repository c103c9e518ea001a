#include "gateway/portal/source_limits.h"

#include <algorithm>

namespace werkplek {
namespace {

// The next one is free much sooner, but everybody else at that address waits for it, too.
constexpr absl::Duration kShortestWait = absl::Seconds(5);

}  // namespace

absl::Duration SourceLimits::Take(Asked what, const std::string& source, absl::Duration now) {
  const bool signs_in = what == Asked::kSignIn;
  const absl::Duration wait = (signs_in ? sign_ins_ : others_).Take(source, now);
  if (wait == absl::ZeroDuration()) return wait;
  const char* const limit = signs_in ? "sign-ins" : "requests";
  CountBeyondLimit(*metrics_, limit);
  log_.Warn(now, "request-refused", {{"port", "portal"}, {"address", source}, {"limit", limit}});
  return std::max(wait, kShortestWait);
}

void CountBeyondLimit(Metrics& metrics, const char* limit) {
  metrics.Count("werkplek_gateway_portal_refusals_total",
                "What browsers were refused, by the limit that it was beyond.", {{"limit", limit}});
}

}  // namespace werkplek
