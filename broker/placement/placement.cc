#include "broker/placement/placement.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

using Filter = std::string (*)(const PlacementNeed& need, const HostCandidate& host);

// Each gives the reason for people, or nothing when the host passes.
std::string Site(const PlacementNeed& need, const HostCandidate& host) {
  if (need.sites.empty()) return "";
  if (std::find(need.sites.begin(), need.sites.end(), host.site) != need.sites.end()) return "";
  return absl::StrCat("is in site ", host.site, "; the pool may use ",
                      absl::StrJoin(need.sites, ", "));
}

std::string HomeSite(const PlacementNeed& need, const HostCandidate& host) {
  if (!need.home_required || need.home_site.empty() || host.site == need.home_site) return "";
  return absl::StrCat("is in site ", host.site, "; the home site ", need.home_site, " is required");
}

std::string SiteLoss(const PlacementNeed&, const HostCandidate& host) { return host.site_loss; }

std::string SiteOpen(const PlacementNeed&, const HostCandidate& host) {
  if (host.site_schedulability == v1::SCHEDULABILITY_OPEN) return "";
  return absl::StrCat("site ", host.site,
                      host.site_schedulability == v1::SCHEDULABILITY_DRAINING
                          ? " is being drained"
                          : " is in maintenance");
}

std::string HostOpen(const PlacementNeed&, const HostCandidate& host) {
  if (host.schedulability == v1::SCHEDULABILITY_OPEN) return "";
  return host.schedulability == v1::SCHEDULABILITY_DRAINING ? "is being drained"
                                                            : "is in maintenance";
}

std::string HostUp(const PlacementNeed&, const HostCandidate& host) {
  if (host.liveness == v1::LIVENESS_DOWN) return "is down";
  if (host.liveness != v1::LIVENESS_UP) return "has not reported lately";
  return host.linked ? "" : "its agent is not connected";
}

// `list` is where the agent's configuration names what it has.
std::string AtHand(absl::string_view kind, const std::string& name, absl::string_view list,
                   const std::vector<std::string>& there) {
  if (name.empty() || std::find(there.begin(), there.end(), name) != there.end()) return "";
  return absl::StrCat("does not have ", kind, " ", name, " at hand; name it under `", list,
                      "` in its agent's configuration, or see why it is away");
}

std::string Storage(const PlacementNeed& need, const HostCandidate& host) {
  return AtHand("storage", need.storage, "storages", host.storages);
}

std::string Network(const PlacementNeed& need, const HostCandidate& host) {
  return AtHand("network", need.network, "networks", host.networks);
}

std::string LockManager(const PlacementNeed& need, const HostCandidate& host) {
  if (!need.fenced || need.storage.empty()) return "";
  if (!host.lock_manager.empty() && host.lock_manager != "nop") return "";
  return absl::StrCat(
      "its libvirt ", host.lock_manager.empty() ? "is not known to lock" : "does not lock",
      " disks, so that two hosts could start one; set lock_manager = \"lockd\" (or ",
      "sanlock) in its qemu.conf and restart libvirt and the agent");
}

std::string Fencing(const PlacementNeed& need, const HostCandidate& host) {
  if (!need.fenced || need.storage.empty() || host.fence_after_ms != 0) return "";
  return "its agent has not said yet that it stops desktops by itself when it hears no broker";
}

std::string ImageGood(const PlacementNeed&, const HostCandidate& host) {
  return host.image_error.empty() ? "" : absl::StrCat("the image failed there: ", host.image_error);
}

std::string Memory(const PlacementNeed& need, const HostCandidate& host) {
  const uint64_t free =
      host.memory_limit_mib - std::min(host.memory_limit_mib, host.memory_committed_mib);
  if (need.memory_mib <= free) return "";
  return absl::StrCat("needs ", need.memory_mib, " MiB, ", free, " MiB free of ",
                      host.memory_limit_mib, " MiB");
}

std::string MaxDesktops(const PlacementNeed&, const HostCandidate& host) {
  if (host.max_desktops == 0 || host.desktops < host.max_desktops) return "";
  return absl::StrCat("has ", CountOf(host.desktops, "desktop"), " of at most ", host.max_desktops);
}

std::string InFlight(uint32_t starts) {
  return absl::StrCat(CountOf(starts, "start"), starts == 1 ? " is" : " are", " in flight");
}

std::string HostStarts(const PlacementNeed&, const HostCandidate& host) {
  if (host.starts < host.max_starts) return "";
  return absl::StrCat(InFlight(host.starts), " there, at most ", host.max_starts);
}

std::string SiteStarts(const PlacementNeed&, const HostCandidate& host) {
  if (host.site_starts < host.site_max_starts) return "";
  return absl::StrCat(InFlight(host.site_starts), " in site ", host.site, ", at most ",
                      host.site_max_starts);
}

constexpr std::pair<const char*, Filter> kFilters[] = {
    {kRuleSite, Site},
    {kRuleHomeSite, HomeSite},
    {kRuleSiteLoss, SiteLoss},
    {kRuleSiteOpen, SiteOpen},
    {kRuleHostOpen, HostOpen},
    {kRuleHostUp, HostUp},
    {kRuleStorage, Storage},
    {kRuleNetwork, Network},
    {kRuleLockManager, LockManager},
    {kRuleFencing, Fencing},
    {kRuleImage, ImageGood},
    {kRuleMemory, Memory},
    {kRuleMaxDesktops, MaxDesktops},
    {kRuleHostStarts, HostStarts},
    {kRuleSiteStarts, SiteStarts},
};

// The home site goes before all else. Then spreads by free memory first, by load and by starts; an
// image at hand saves the fetch: together these are at most 1, and a tenth of that on a host that
// rests.
double Score(const PlacementNeed& need, const HostCandidate& host) {
  const double limit = static_cast<double>(std::max<uint64_t>(host.memory_limit_mib, 1));
  const double used = static_cast<double>(host.memory_committed_mib + need.memory_mib);
  const double free = std::clamp(1.0 - used / limit, 0.0, 1.0);
  const double idle = 1.0 - std::clamp(std::max(host.cpu_used, host.memory_pressure), 0.0, 1.0);
  const double quiet =
      1.0 - static_cast<double>(host.starts) / std::max<uint32_t>(host.max_starts, 1);
  const bool home = !need.home_site.empty() && host.site == need.home_site;
  const double spread = 0.5 * free + 0.2 * idle + 0.2 * quiet + (host.image_ready ? 0.1 : 0.0);
  return (home ? 1.0 : 0.0) + (host.rests ? 0.1 * spread : spread);
}

v1::HostVerdict Judge(const PlacementNeed& need, const HostCandidate& host) {
  v1::HostVerdict verdict;
  verdict.set_host(host.name);
  for (const auto& [rule, filter] : kFilters) {
    std::string reason = filter(need, host);
    if (reason.empty()) continue;
    verdict.set_rejected_by(rule);
    verdict.set_reason(std::move(reason));
    return verdict;
  }
  verdict.set_score(Score(need, host));
  return verdict;
}

}  // namespace

Placement Place(const PlacementNeed& need, const std::vector<HostCandidate>& candidates) {
  Placement placement;
  placement.verdicts.reserve(candidates.size());
  for (const HostCandidate& host : candidates) placement.verdicts.push_back(Judge(need, host));
  std::sort(placement.verdicts.begin(), placement.verdicts.end(),
            [](const v1::HostVerdict& a, const v1::HostVerdict& b) { return a.host() < b.host(); });
  double best = -1;
  for (const v1::HostVerdict& verdict : placement.verdicts) {
    if (!verdict.rejected_by().empty() || verdict.score() <= best) continue;
    best = verdict.score();
    placement.host = verdict.host();
  }
  return placement;
}

std::string PlaceQuietly(const PlacementNeed& need, const std::vector<HostCandidate>& candidates) {
  const HostCandidate* best = nullptr;
  double best_score = -1;
  for (const HostCandidate& host : candidates) {
    const bool fits = std::all_of(std::begin(kFilters), std::end(kFilters), [&](const auto& rule) {
      return rule.second(need, host).empty();
    });
    if (!fits) continue;
    const double score = Score(need, host);
    if (score < best_score || (score == best_score && host.name > best->name)) continue;
    best = &host;
    best_score = score;
  }
  return best == nullptr ? "" : best->name;
}

}  // namespace werkplek
