#include "broker/core/candidates.h"

#include "broker/core/sites.h"
#include "broker/model/kept.h"

namespace werkplek {

uint32_t HostMaxStarts(const BrokerSettings& settings, const v1::Host& host) {
  const uint32_t own = host.max_starts_in_flight();
  return own != 0 ? own : settings.default_host_starts;
}

uint32_t SiteMaxStarts(const Fleet& fleet, const BrokerSettings& settings,
                       const std::string& site) {
  const v1::Resource* record = fleet.sites.Find(site);
  const uint32_t own = record == nullptr ? 0 : record->site().max_starts_in_flight();
  return own != 0 ? own : settings.default_site_starts;
}

void FillImage(const v1::AgentReport& report, const std::string& name, const v1::Image* image,
               HostCandidate& candidate) {
  for (const v1::ImageReport& there : report.images()) {
    if (there.image() != name) continue;
    const bool same = image != nullptr && there.sha256() == image->sha256();
    if (there.verified()) {
      candidate.image_ready = same;
    } else if (same || there.sha256().empty()) {
      candidate.image_error = there.error();
    }
  }
}

HostCandidate CandidateOf(const Fleet& fleet, const BrokerSettings& settings,
                          const std::string& name, const v1::Host& host, const v1::Pool& pool,
                          const v1::Image* image, const HostUse& use, uint32_t site_starts) {
  HostCandidate candidate;
  candidate.name = name;
  candidate.site = host.site();
  const v1::Resource* site = fleet.sites.Find(host.site());
  if (site != nullptr) candidate.site_schedulability = site->site().schedulability();
  candidate.site_loss = SiteLossText(fleet, host.site());
  candidate.schedulability = host.schedulability();
  candidate.max_desktops = host.max_desktops();
  candidate.max_starts = HostMaxStarts(settings, host);
  candidate.site_starts = site_starts;
  candidate.site_max_starts = SiteMaxStarts(fleet, settings, host.site());
  candidate.memory_committed_mib = use.memory_committed_mib;
  candidate.desktops = use.desktops;
  candidate.starts = use.starts;
  const HostSoft* soft = fleet.host_soft.Find(name);
  if (soft == nullptr) return candidate;
  candidate.liveness = soft->liveness;
  candidate.linked = soft->link != 0;
  candidate.memory_limit_mib = HostMemoryLimitMib(host, soft->report->load());
  candidate.cpu_used = soft->report->load().cpu_used();
  candidate.memory_pressure = soft->report->load().memory_pressure();
  candidate.storages.assign(soft->report->storages().begin(), soft->report->storages().end());
  candidate.networks.assign(soft->report->networks().begin(), soft->report->networks().end());
  candidate.lock_manager = soft->report->lock_manager();
  candidate.fence_after_ms = soft->report->fence_after_ms();
  FillImage(*soft->report, pool.image(), image, candidate);
  return candidate;
}

PlacementNeed NeedOf(const v1::Pool& pool, const Home& home) {
  PlacementNeed need;
  need.memory_mib = pool.memory_mib();
  need.sites.assign(pool.sites().begin(), pool.sites().end());
  need.home_site = home.site;
  need.home_required = home.required;
  need.storage = pool.storage();
  need.network = pool.network();
  need.fenced = IsFenced(pool);
  return need;
}

}  // namespace werkplek
