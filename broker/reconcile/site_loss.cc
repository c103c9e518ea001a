#include "broker/reconcile/site_loss.h"

namespace werkplek {
namespace {

struct Counts {
  uint32_t hosts = 0;
  uint32_t down = 0;
  // Down or suspect.
  uint32_t gone = 0;
};

void Count(v1::Liveness liveness, Counts& counts) {
  ++counts.hosts;
  counts.down += liveness == v1::LIVENESS_DOWN ? 1 : 0;
  counts.gone += liveness != v1::LIVENESS_UP ? 1 : 0;
}

// Shares that an operator writes are not exact in binary: 0.6 of 5 hosts is 3.
constexpr double kRounding = 1e-9;

bool AtLeast(uint32_t part, uint32_t whole, double share) {
  return part + kRounding >= share * whole;
}

bool IsLost(uint32_t silent, uint32_t hosts, const SiteLossLimits& limits) {
  return silent >= limits.fewest_hosts && AtLeast(silent, hosts, limits.lost_share);
}

bool Brakes(uint32_t gone, uint32_t hosts, const SiteLossLimits& limits) {
  return gone >= limits.fewest_hosts && gone > limits.brake_share * hosts + kRounding;
}

SiteFinding Find(const Counts& site, const Counts& all, const SiteLossLimits& limits) {
  if (site.down == 0) return SiteFinding::kInOrder;
  if (Brakes(all.down, all.hosts, limits)) return SiteFinding::kBraked;
  if (Brakes(all.gone, all.hosts, limits)) return SiteFinding::kWait;
  if (IsLost(site.down, site.hosts, limits)) return SiteFinding::kLost;
  if (IsLost(site.gone, site.hosts, limits)) return SiteFinding::kWait;
  return SiteFinding::kSingleHosts;
}

}  // namespace

std::map<std::string, SiteVerdict> JudgeSites(const std::vector<HostPresence>& hosts,
                                              const SiteLossLimits& limits) {
  std::map<std::string, Counts> sites;
  Counts all;
  for (const HostPresence& host : hosts) {
    Count(host.liveness, sites[host.site]);
    Count(host.liveness, all);
  }
  std::map<std::string, SiteVerdict> verdicts;
  for (const auto& [site, counts] : sites) {
    verdicts[site] = {
        Find(counts, all, limits), counts.down, counts.gone, counts.hosts, all.gone, all.hosts};
  }
  return verdicts;
}

bool SiteAnswers(uint32_t up, uint32_t hosts, const SiteLossLimits& limits) {
  if (up == 0) return false;
  return AtLeast(up, hosts, 0.5) && !IsLost(hosts - up, hosts, limits);
}

}  // namespace werkplek
