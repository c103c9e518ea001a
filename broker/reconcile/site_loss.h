// What the silence of many hosts together means. Pure; the same hosts give the same verdicts, in
// whatever order they come.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// One host whose silence would be news: it is open for work and has worked (it was heard, or
// desktops stand on it), or it takes no work, is silent and has desktops that would be lost with
// it; and it was not judged down before.
struct HostPresence {
  std::string host;
  std::string site;
  v1::Liveness liveness = v1::LIVENESS_UNSPECIFIED;
};

struct SiteLossLimits {
  // Share of a site's hosts that must be down together to make it lost, above 0 to 1.
  double lost_share = 1.0;
  // When more than this share of all hosts is gone, an operator must confirm, 0 to 1.
  double brake_share = 0.6;
  // Fewer hosts than this are single losses, whatever share they are.
  uint32_t fewest_hosts = 2;
};

enum class SiteFinding {
  // No host of it is down.
  kInOrder,
  // Hosts are down, and others have not been heard lately: whether it is more than single hosts
  // shows when those are back or down, within down_after less suspect_after.
  kWait,
  // Its hosts that are down went one by one.
  kSingleHosts,
  kLost,
  // Hosts of it are down, and too many of all hosts are gone to believe it.
  kBraked,
};

struct SiteVerdict {
  SiteFinding finding = SiteFinding::kInOrder;
  // Hosts that are down, of those that count.
  uint32_t down = 0;
  // Down or suspect.
  uint32_t gone = 0;
  uint32_t hosts = 0;
  // Of all sites together.
  uint32_t all_gone = 0;
  uint32_t all_hosts = 0;
};

// A verdict for each site that has a host in the list. A host that is suspect is gone, too; it only
// makes the others wait.
std::map<std::string, SiteVerdict> JudgeSites(const std::vector<HostPresence>& hosts,
                                              const SiteLossLimits& limits);

// Whether a site that was lost answers again: at least half of its hosts are up, and too few are
// silent to make it lost anew.
bool SiteAnswers(uint32_t up, uint32_t hosts, const SiteLossLimits& limits);

}  // namespace werkplek
