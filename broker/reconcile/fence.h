// Whether a copy of a desktop can still run: what must be sure before it is started elsewhere.
// Pure.
//
// The arithmetic: an agent stops fenced desktops once its own clock has run for `fence_after` since
// it sent the last report that a leader answered. That report reached this broker, or one that led
// before it, and such a broker leads for `lease_ttl` at most after this one began. Clocks may run
// up to a tenth too fast or too slow, and stopping takes its time: that is `fence_margin`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

struct FenceTimes {
  absl::Duration lease_ttl;
  absl::Duration fence_after;
  absl::Duration fence_margin;
  // When this broker began to lead.
  absl::Time leading_since = absl::InfinitePast();
};

// One host on which a copy may run.
struct FenceHostFacts {
  std::string host;
  // It is up, its report is complete, and it has obeyed this broker already. `report` is what it
  // says of the desktop then; nullptr: it has none.
  bool answers = false;
  const v1::DesktopReport* report = nullptr;
  // When a start of this generation was last sent there, by this broker.
  absl::Time last_start = absl::InfinitePast();
  // The last report that this broker accepted.
  absl::Time last_heard = absl::InfinitePast();
  // What its agent waits without a leader, at the longest. 0: not known.
  uint32_t fence_after_ms = 0;
  // It was asked to be switched off then, and is. InfinitePast: not so.
  absl::Time switched_off = absl::InfinitePast();
};

struct FenceVerdict {
  // What made it sure that no copy runs: "agent", "time", "fence command". Empty: it is not sure.
  std::string by;
  // When time alone makes it sure, as far as is known now; InfiniteFuture: never.
  absl::Time sure_at = absl::InfiniteFuture();
  // For people, while it is not sure.
  std::string reason;

  bool sure() const { return !by.empty(); }
};

// It must hold for every host of `hosts`: the desktop's own, and the one it was moving to.
FenceVerdict JudgeFence(const v1::Desktop& desktop, const std::vector<FenceHostFacts>& hosts,
                        const FenceTimes& times, absl::Time now);

// When the broker asks again for a host to be switched off, after `failures` in a row.
absl::Duration FenceRetryAfter(uint32_t failures);

}  // namespace werkplek
