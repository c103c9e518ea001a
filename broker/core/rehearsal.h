// The loss of a site, rehearsed: the real placement under the real limits on a copy of the fleet
// without the site. Pure, and thread-safe; changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/core/settings.h"
#include "broker/model/fleet.h"
#include "werkplek/v1/admin.pb.h"

namespace werkplek {

// A start is reckoned at this for a pool whose spares do not tell.
inline constexpr absl::Duration kAssumedStart = absl::Seconds(30);

struct Rehearsal {
  // Everybody with a session on the site, in the order in which they would be served: by the
  // priority of the pool, then by the age of the session.
  std::vector<v1::RehearsedPerson> people;
  uint32_t fit = 0;
  uint32_t wait = 0;
  // Seconds until the last one who fits is ready.
  uint32_t all_ready_after_s = 0;
};

// Spares of the other sites go first, at once; then desktops are started as the limits on starts
// allow. A dedicated desktop goes where its storage is, after its fence, or waits for its host. A
// start is reckoned at StartTimeOf. Costs about (people x hosts of the other sites).
Rehearsal RehearseLoss(const Fleet& fleet, const BrokerSettings& settings, const std::string& site);

// How long a start in the pool takes: the median of its spares, from the making of the disk on the
// host until they were proved (the clocks of hosts and broker must agree), or
// kAssumedStart when none tells.
absl::Duration StartTimeOf(const Fleet& fleet, const std::string& pool);

}  // namespace werkplek
