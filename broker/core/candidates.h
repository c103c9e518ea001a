// The fleet as placement sees it. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "broker/core/homes.h"
#include "broker/core/settings.h"
#include "broker/model/fleet.h"
#include "broker/placement/placement.h"

namespace werkplek {

// What is committed on a host: desktops that exist or are being made, starts in flight included.
struct HostUse {
  uint64_t memory_committed_mib = 0;
  uint32_t desktops = 0;
  uint32_t starts = 0;
};

// A host as it would take a desktop of the pool now. `image` is the pool's; nullptr: none.
HostCandidate CandidateOf(const Fleet& fleet, const BrokerSettings& settings,
                          const std::string& name, const v1::Host& host, const v1::Pool& pool,
                          const v1::Image* image, const HostUse& use, uint32_t site_starts);

// What a desktop of the pool needs, for people with this home.
PlacementNeed NeedOf(const v1::Pool& pool, const Home& home);

// What the host reports of the image, in the candidate's image_ready and image_error.
void FillImage(const v1::AgentReport& report, const std::string& name, const v1::Image* image,
               HostCandidate& candidate);

// Starts that may be in flight on the host, and in the site.
uint32_t HostMaxStarts(const BrokerSettings& settings, const v1::Host& host);
uint32_t SiteMaxStarts(const Fleet& fleet, const BrokerSettings& settings, const std::string& site);

}  // namespace werkplek
