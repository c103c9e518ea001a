#include "broker/reconcile/balancing.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

// Reasons of single hosts that a wait is explained with.
constexpr size_t kMostReasons = 3;
// A host is emptied for the night only when so much more would fit on the others; one that rests
// already goes on until they are full. Between the two nothing changes.
constexpr double kNightReserve = 1.1;

std::string Percent(double share) { return absl::StrCat(std::lround(share * 100), " %"); }

std::string Loaded(const BalanceHost& host) {
  return absl::StrCat(host.name, " at ", Percent(LoadOf(host)));
}

bool Has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// One site, as it would be after the moves that were planned so far.
class Floor {
 public:
  struct Place {
    BalanceHost host;
    // Of what runs there.
    double vcpus = 0;
    // Who feels least comes first, then by id.
    std::vector<const BalanceDesktop*> desktops;
  };

  Floor(const BalancePicture& picture, const std::string& site) {
    for (const BalanceHost& host : picture.hosts) {
      if (host.site == site) places_[host.name].host = host;
    }
    for (const BalanceDesktop& desktop : picture.desktops) {
      const auto at = places_.find(desktop.host);
      if (at == places_.end()) continue;
      at->second.desktops.push_back(&desktop);
      if (desktop.runs) at->second.vcpus += desktop.vcpus;
    }
    for (auto& [name, place] : places_) Sort(place);
  }

  std::map<std::string, Place>& places() { return places_; }

  // Why the desktop cannot leave its host; empty: it can.
  std::string WhyStays(const BalanceDesktop& desktop) const {
    if (!desktop.stays.empty()) return desktop.stays;
    if (desktop.storage.empty()) return "its pool keeps its disks on the host itself";
    return places_.at(desktop.host).host.reachable ? "" : "its host does not answer";
  }

  // Why the host cannot take it; empty: it can.
  static std::string WhyNot(const BalanceDesktop& desktop, const BalanceHost& host) {
    if (!host.open) return "is not open for work";
    if (host.rests) return "is emptied for the night";
    const bool moves = !desktop.storage.empty();
    if (moves && !host.receives) return "has no migration URI in its agent's configuration";
    if (moves && !Has(host.storages, desktop.storage)) {
      return absl::StrCat("has not the storage ", desktop.storage);
    }
    if (!desktop.network.empty() && !Has(host.networks, desktop.network)) {
      return absl::StrCat("has not the network ", desktop.network);
    }
    if (desktop.needs_lock && !host.locks) return "has no lock manager in libvirt";
    const uint64_t free =
        host.memory_limit_mib - std::min(host.memory_limit_mib, host.memory_committed_mib);
    if (desktop.memory_mib > free) {
      return absl::StrCat("has ", free, " MiB free, ", desktop.memory_mib, " MiB are needed");
    }
    if (host.max_desktops != 0 && host.desktops >= host.max_desktops) {
      return absl::StrCat("has ", CountOf(host.desktops, "desktop"), " of at most ",
                          host.max_desktops);
    }
    return "";
  }

  // The two hosts as they would be after the move.
  std::pair<BalanceHost, BalanceHost> After(const BalanceDesktop& desktop, const Place& from,
                                            const Place& to) const {
    std::pair<BalanceHost, BalanceHost> after{from.host, to.host};
    BalanceHost& source = after.first;
    BalanceHost& target = after.second;
    source.memory_committed_mib -= std::min(source.memory_committed_mib, desktop.memory_mib);
    target.memory_committed_mib += desktop.memory_mib;
    source.desktops -= std::min(source.desktops, 1u);
    ++target.desktops;
    if (!desktop.runs || from.vcpus <= 0) return after;
    // Each virtual processor is taken to do the same share of the work.
    const double share = source.cpu_used * desktop.vcpus / from.vcpus;
    const double scale =
        source.cpus == 0 || target.cpus == 0 ? 1.0 : static_cast<double>(source.cpus) / target.cpus;
    source.cpu_used = std::max(0.0, source.cpu_used - share);
    target.cpu_used = std::min(1.0, target.cpu_used + share * scale);
    return after;
  }

  void Do(const BalanceDesktop& desktop, const std::string& from, const std::string& to) {
    Place& source = places_.at(from);
    Place& target = places_.at(to);
    std::tie(source.host, target.host) = After(desktop, source, target);
    if (desktop.runs) {
      source.vcpus -= desktop.vcpus;
      target.vcpus += desktop.vcpus;
    }
    auto& left = source.desktops;
    left.erase(std::find(left.begin(), left.end(), &desktop));
    target.desktops.push_back(&desktop);
    Sort(target);
  }

  // The host that would be loaded least with it; empty: none, and `why` tells of some.
  std::string BestTarget(const BalanceDesktop& desktop, const std::string& from, std::string& why) {
    std::string best;
    std::pair<bool, double> best_rank;
    std::vector<std::string> reasons;
    for (const auto& [name, place] : places_) {
      if (name == from) continue;
      const std::string reason = WhyNot(desktop, place.host);
      if (!reason.empty()) {
        if (reasons.size() < kMostReasons) reasons.push_back(absl::StrCat(name, " ", reason));
        continue;
      }
      const std::pair<bool, double> rank{name == desktop.avoids,
                                         LoadOf(After(desktop, places_.at(from), place).second)};
      if (!best.empty() && rank >= best_rank) continue;
      best = name;
      best_rank = rank;
    }
    if (best.empty()) {
      why = reasons.empty()
                ? "its site has no other host"
                : absl::StrCat("no host of the site can take it: ", absl::StrJoin(reasons, "; "));
    }
    return best;
  }

 private:
  static void Sort(Place& place) {
    std::sort(place.desktops.begin(), place.desktops.end(),
              [](const BalanceDesktop* a, const BalanceDesktop* b) {
                return std::tie(a->felt, a->id) < std::tie(b->felt, b->id);
              });
  }

  std::map<std::string, Place> places_;
};

// What makes two desktops of a host the same to a plan.
using Kind = std::tuple<Felt, std::string, std::string, bool, bool, uint64_t, uint32_t>;

Kind KindOf(const BalanceDesktop& desktop) {
  return {desktop.felt, desktop.storage,    desktop.network, desktop.needs_lock,
          desktop.runs, desktop.memory_mib, desktop.vcpus};
}

class Evener {
 public:
  Evener(const BalancePicture& picture, const std::string& site, const MoveLimits& limits,
         bool at_once)
      : floor_(picture, site), limits_(limits), at_once_(at_once) {}

  BalancePlan Plan(size_t most) {
    BalancePlan plan;
    while (plan.moves.size() < most && MoveOne(plan)) {
    }
    plan.reason = plan.moves.size() == most ? "more may follow" : WhyDone();
    return plan;
  }

 private:
  struct Choice {
    const BalanceDesktop* desktop = nullptr;
    std::string to;
    // Who feels least; then what leaves the two hosts lowest.
    Felt felt = Felt::kAtOnce;
    double worst = 0;
  };

  // Open hosts, the most loaded first.
  std::vector<const Floor::Place*> Ordered() {
    std::vector<const Floor::Place*> order;
    for (const auto& [name, place] : floor_.places()) {
      if (place.host.open && !place.host.rests) order.push_back(&place);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return LoadOf(a->host) > LoadOf(b->host);
    });
    return order;
  }

  std::string WhyNotMoved(const BalanceDesktop& desktop) const {
    if (std::string why = floor_.WhyStays(desktop); !why.empty()) return why;
    if (!desktop.settled) return "it was moved a short while ago";
    if (!at_once_ && desktop.felt == Felt::kAtOnce) return "somebody looks at its display";
    return "";
  }

  void Consider(const BalanceDesktop& desktop, const Floor::Place& from, const Floor::Place& to,
                Choice& best) const {
    if (to.host.name == desktop.avoids || !Floor::WhyNot(desktop, to.host).empty()) return;
    const auto [source, target] = floor_.After(desktop, from, to);
    const double worst = LoadOf(source);
    if (LoadOf(target) > worst || LoadOf(from.host) - worst < limits_.gain) return;
    if (best.desktop != nullptr &&
        std::tie(best.felt, best.worst) <= std::tie(desktop.felt, worst)) {
      return;
    }
    best = {&desktop, to.host.name, desktop.felt, worst};
  }

  bool MoveOne(BalancePlan& plan) {
    const auto order = Ordered();
    for (const Floor::Place* from : order) {
      Choice best;
      std::set<Kind> seen;
      for (const BalanceDesktop* desktop : from->desktops) {
        if (moved_.count(desktop->id) != 0 || !WhyNotMoved(*desktop).empty()) continue;
        if (!seen.insert(KindOf(*desktop)).second) continue;
        for (auto to = order.rbegin(); to != order.rend(); ++to) {
          if (LoadOf(from->host) - LoadOf((*to)->host) < limits_.margin) break;
          Consider(*desktop, *from, **to, best);
        }
      }
      if (best.desktop == nullptr) continue;
      const BalanceDesktop& desktop = *best.desktop;
      const std::string source = from->host.name;
      plan.moves.push_back(
          {desktop.id, source, best.to,
           absl::StrCat(Loaded(from->host), ", ", Loaded(floor_.places().at(best.to).host),
                        " of what they can carry, more than ", Percent(limits_.margin), " apart")});
      moved_.insert(desktop.id);
      floor_.Do(desktop, source, best.to);
      return true;
    }
    return false;
  }

  std::string WhyDone() {
    const auto order = Ordered();
    if (order.size() < 2) return "fewer than two hosts of the site are open for work";
    const Floor::Place& most = *order.front();
    const Floor::Place& least = *order.back();
    const std::string both = absl::StrCat(Loaded(most.host), ", ", Loaded(least.host));
    if (LoadOf(most.host) - LoadOf(least.host) < limits_.margin) {
      return absl::StrCat("its hosts are even: ", both);
    }
    for (const BalanceDesktop* desktop : most.desktops) {
      std::string why = WhyNotMoved(*desktop);
      if (why.empty()) why = Floor::WhyNot(*desktop, least.host);
      if (!why.empty()) {
        return absl::StrCat("uneven (", both, "), but no move helps; ", desktop->id, ": ", why);
      }
    }
    return absl::StrCat("uneven (", both, "), but no move helps");
  }

  Floor floor_;
  const MoveLimits limits_;
  const bool at_once_;
  std::set<std::string> moved_;
};

const BalanceHost* FindHost(const BalancePicture& picture, const std::string& name) {
  const auto at = std::find_if(picture.hosts.begin(), picture.hosts.end(),
                               [&](const BalanceHost& host) { return host.name == name; });
  return at == picture.hosts.end() ? nullptr : &*at;
}

class Night {
 public:
  Night(const BalancePicture& picture, const std::string& site, uint32_t spare_hosts)
      : floor_(picture, site), spare_hosts_(spare_hosts) {}

  ConsolidationPlan Plan() {
    ConsolidationPlan plan;
    using Rank = std::tuple<bool, uint64_t, std::string>;
    std::set<Rank> order;
    for (auto& [name, place] : floor_.places()) {
      if (!place.host.open) continue;
      order.emplace(!place.host.rests, place.host.memory_committed_mib, name);
      place.host.rests = false;
    }
    for (const auto& [awake, memory, name] : order) {
      Floor trial = floor_;
      ConsolidationPlan more = plan;
      if (!Empty(name, awake, trial, more)) continue;
      floor_ = std::move(trial);
      plan = std::move(more);
      plan.resting.push_back(name);
    }
    std::sort(plan.resting.begin(), plan.resting.end());
    return plan;
  }

 private:
  // False: the site cannot spare it, or something on it cannot leave.
  bool Empty(const std::string& name, bool awake, Floor& trial, ConsolidationPlan& plan) const {
    Floor::Place& place = trial.places().at(name);
    place.host.rests = true;
    const std::vector<const BalanceDesktop*> desktops = place.desktops;
    for (const BalanceDesktop* desktop : desktops) {
      const std::string stays = trial.WhyStays(*desktop);
      if (!desktop->settled || desktop->felt == Felt::kAtOnce) return false;
      if (!stays.empty() && (!desktop->spare || !desktop->stays.empty())) return false;
      std::string why;
      const std::string to = trial.BestTarget(*desktop, name, why);
      if (to.empty()) return false;
      trial.Do(*desktop, name, to);
      if (stays.empty()) {
        Add(*desktop, name, to, plan);
      } else if (std::find(plan.remade.begin(), plan.remade.end(), desktop->id) ==
                 plan.remade.end()) {
        plan.remade.push_back(desktop->id);
      }
    }
    return Holds(trial, awake ? kNightReserve : 1.0);
  }

  // What was to move to a host that is emptied as well goes further at once.
  static void Add(const BalanceDesktop& desktop, const std::string& from, const std::string& to,
                  ConsolidationPlan& plan) {
    for (PlannedMove& move : plan.moves) {
      if (move.desktop != desktop.id) continue;
      move.to = to;
      return;
    }
    plan.moves.push_back({desktop.id, from, to,
                          absl::StrCat(from,
                                       " is emptied for the night: the other hosts of the "
                                       "site have room for what is on it")});
  }

  // Whether what stays awake can hold it all although `spare_hosts_` of them fail.
  bool Holds(Floor& trial, double reserve) const {
    std::vector<uint64_t> limits;
    double committed = 0;
    for (const auto& [name, place] : trial.places()) {
      if (!place.host.open || place.host.rests) continue;
      limits.push_back(place.host.memory_limit_mib);
      committed += static_cast<double>(place.host.memory_committed_mib);
    }
    if (limits.size() < size_t{spare_hosts_} + 1) return false;
    std::sort(limits.begin(), limits.end());
    double room = 0;
    for (size_t i = 0; i + spare_hosts_ < limits.size(); ++i)
      room += static_cast<double>(limits[i]);
    return committed * reserve <= room;
  }

  Floor floor_;
  const uint32_t spare_hosts_;
};

}  // namespace

double LoadOf(const BalanceHost& host) {
  const double limit = static_cast<double>(std::max<uint64_t>(host.memory_limit_mib, 1));
  const double used = std::min(1.0, static_cast<double>(host.memory_committed_mib) / limit);
  const double busy = std::clamp(std::max(host.cpu_used, host.memory_pressure), 0.0, 1.0);
  const double starting =
      std::min(1.0, static_cast<double>(host.starts) / std::max<uint32_t>(host.max_starts, 1));
  return (5 * used + 2 * busy + 2 * starting) / 9;
}

BalancePlan PlanRebalance(const BalancePicture& picture, const std::string& site,
                          const MoveLimits& limits, bool at_once, size_t most) {
  return Evener(picture, site, limits, at_once).Plan(most);
}

BalancePlan PlanDrain(const BalancePicture& picture, const std::string& host) {
  BalancePlan plan;
  const BalanceHost* from = FindHost(picture, host);
  if (from == nullptr) return plan;
  Floor floor(picture, from->site);
  const std::vector<const BalanceDesktop*> desktops = floor.places().at(host).desktops;
  for (const BalanceDesktop* desktop : desktops) {
    std::string why = floor.WhyStays(*desktop);
    const std::string to = why.empty() ? floor.BestTarget(*desktop, host, why) : "";
    if (to.empty()) {
      plan.waits.push_back({desktop->id, std::move(why)});
      continue;
    }
    plan.moves.push_back({desktop->id, host, to, absl::StrCat(host, " is being drained")});
    floor.Do(*desktop, host, to);
  }
  plan.reason = absl::StrCat(CountOf(plan.moves.size(), "desktop"), " to move, ", plan.waits.size(),
                             " to wait for");
  return plan;
}

std::string PlanMove(const BalancePicture& picture, const std::string& desktop, std::string& why) {
  for (const BalanceDesktop& one : picture.desktops) {
    if (one.id != desktop) continue;
    const BalanceHost* from = FindHost(picture, one.host);
    if (from == nullptr) break;
    Floor floor(picture, from->site);
    why = floor.WhyStays(one);
    return why.empty() ? floor.BestTarget(one, one.host, why) : "";
  }
  why = "its host is not declared";
  return "";
}

ConsolidationPlan PlanConsolidation(const BalancePicture& picture, const std::string& site,
                                    uint32_t spare_hosts) {
  return Night(picture, site, spare_hosts).Plan();
}

}  // namespace werkplek
