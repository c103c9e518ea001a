#include "broker/core/rehearsal.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "broker/core/candidates.h"
#include "broker/core/sites.h"
#include "broker/model/desktop_machine.h"

namespace werkplek {
namespace {

struct PoolBook {
  const v1::Pool* pool = nullptr;
  // The hosts of the other sites; what is committed there is filled in before each use.
  std::vector<HostCandidate> hosts;
  // Spares that can be given out at once, by host.
  std::deque<std::string> spares;
  // Desktops that remain, spares included.
  uint32_t desktops = 0;
  double start_s = 0;
  // Why it has no room left for people with this home; what was full once stays full.
  std::map<std::string, std::string> full;
};

class Stage {
 public:
  Stage(const Fleet& fleet, const BrokerSettings& settings, const std::string& site)
      : fleet_(fleet), settings_(settings) {
    for (const auto& entry : fleet.hosts) {
      if (entry.record->host().site() == site) {
        lost_hosts_.insert(entry.key);
      } else {
        uses_[entry.key];
      }
    }
    for (const auto& entry : fleet.pools) OpenPool(entry.key, entry.record->pool());
    for (const auto& entry : fleet.desktops) Remain(*entry.record);
    // Running spares go first.
    for (auto& [name, pool] : pools_) {
      for (std::string& host : suspended_[name]) pool.spares.push_back(std::move(host));
    }
  }

  bool IsLost(const std::string& host) const { return lost_hosts_.count(host) != 0; }

  void Serve(const v1::Session& session, v1::RehearsedPerson& person) {
    const auto at = pools_.find(session.pool());
    if (at == pools_.end()) return Wait("the pool is no more", person);
    PoolBook& pool = at->second;
    const bool own = pool.pool->kind() == v1::POOL_KIND_DEDICATED;
    if (own && pool.pool->storage().empty()) {
      return Wait("the disk of the desktop is on a host of the site alone", person);
    }
    const Home home = HomeFor(session, *pool.pool);
    if (!own) person.set_host(TakeSpare(pool, home));
    if (!person.host().empty()) return;
    const PlacementNeed need = NeedOf(*pool.pool, home);
    std::string& full = pool.full[HomeText(home)];
    if (full.empty()) full = WhyFull(session.pool(), pool, need);
    if (!full.empty()) return Wait(full, person);
    std::string host = PlaceQuietly(need, Filled(pool, true));
    while (host.empty() && NextEnds()) host = PlaceQuietly(need, Filled(pool, true));
    // There is room, but no start is ever allowed.
    if (host.empty()) return Wait(NoRoom(pool, need, true), person);
    Start(host, pool);
    person.set_host(host);
    // An own desktop starts only when its old copy cannot run any more.
    const double fence_s =
        own ? absl::ToDoubleSeconds(settings_.fence_after + settings_.fence_margin) : 0;
    person.set_ready_after_s(
        static_cast<int32_t>(std::ceil(std::max(now_s_, fence_s) + pool.start_s)));
  }

 private:
  // When it ends, and where.
  using InFlight = std::pair<double, std::string>;

  static void Wait(std::string why, v1::RehearsedPerson& person) {
    person.set_ready_after_s(-1);
    person.set_reason(std::move(why));
  }

  // The sign-in may be over; then entitlements for groups are not known to count.
  Home HomeFor(const v1::Session& session, const v1::Pool& pool) const {
    const v1::SignIn* sign_in = fleet_.sign_ins.Find(session.sign_in());
    return sign_in == nullptr ? HomeOfUser(fleet_, session.user(), session.pool(), pool)
                              : HomeOf(fleet_, *sign_in, session.pool(), pool);
  }

  // The host of a spare, one in the home first; empty: none that may serve.
  std::string TakeSpare(PoolBook& pool, const Home& home) const {
    auto at = std::find_if(pool.spares.begin(), pool.spares.end(), [&](const std::string& host) {
      return home.site.empty() || SiteOf(host) == home.site;
    });
    if (at == pool.spares.end() && !home.required) at = pool.spares.begin();
    if (at == pool.spares.end()) return "";
    std::string host = std::move(*at);
    pool.spares.erase(at);
    return host;
  }

  void OpenPool(const std::string& name, const v1::Pool& pool) {
    PoolBook& book = pools_[name];
    book.pool = &pool;
    book.start_s = absl::ToDoubleSeconds(StartTimeOf(fleet_, name));
    const v1::Resource* image = fleet_.images.Find(pool.image());
    for (const auto& [host, use] : uses_) {
      book.hosts.push_back(CandidateOf(fleet_, settings_, host, fleet_.hosts.Find(host)->host(),
                                       pool, image == nullptr ? nullptr : &image->image(), {}, 0));
    }
  }

  void Remain(const v1::Desktop& desktop) {
    if (const auto target = uses_.find(desktop.moving_to()); target != uses_.end()) {
      ++target->second.desktops;
      target->second.memory_committed_mib += desktop.memory_mib();
    }
    const auto use = uses_.find(desktop.host());
    const auto pool = pools_.find(desktop.pool());
    if (use == uses_.end()) return;
    ++use->second.desktops;
    use->second.memory_committed_mib += desktop.memory_mib();
    if (IsStarting(desktop.state())) {
      ++use->second.starts;
      ++site_starts_[SiteOf(desktop.host())];
      in_flight_.emplace(
          pool == pools_.end() ? absl::ToDoubleSeconds(kAssumedStart) : pool->second.start_s,
          desktop.host());
    }
    if (pool == pools_.end() || desktop.state() == v1::DESKTOP_STATE_LOST ||
        desktop.state() == v1::DESKTOP_STATE_STOPPING) {
      return;
    }
    ++pool->second.desktops;
    if (!desktop.owner().empty()) return;
    const HostSoft* soft = fleet_.host_soft.Find(desktop.host());
    if (desktop.state() != v1::DESKTOP_STATE_READY || soft == nullptr ||
        soft->liveness != v1::LIVENESS_UP || soft->link == 0 ||
        WorkAllowed(fleet_, desktop.host()) != v1::SCHEDULABILITY_OPEN) {
      return;
    }
    if (desktop.wanted_power() == v1::POWER_SUSPENDED) {
      suspended_[desktop.pool()].push_back(desktop.host());
    } else {
      pool->second.spares.push_back(desktop.host());
    }
  }

  const std::string& SiteOf(const std::string& host) const {
    return fleet_.hosts.Find(host)->host().site();
  }

  // The hosts as they stand now; without their starts, to see whether there will ever be room.
  const std::vector<HostCandidate>& Filled(PoolBook& pool, bool with_starts) {
    for (HostCandidate& host : pool.hosts) {
      const HostUse& use = uses_.at(host.name);
      host.memory_committed_mib = use.memory_committed_mib;
      host.desktops = use.desktops;
      host.starts = with_starts ? use.starts : 0;
      host.site_starts = with_starts ? site_starts_[host.site] : 0;
    }
    return pool.hosts;
  }

  std::string WhyFull(const std::string& name, PoolBook& pool, const PlacementNeed& need) {
    if (pool.pool->schedulability() != v1::SCHEDULABILITY_OPEN) {
      return pool.pool->schedulability() == v1::SCHEDULABILITY_DRAINING
                 ? "the pool is being emptied"
                 : "the pool is in maintenance";
    }
    const PoolSoft* soft = fleet_.pool_soft.Find(name);
    if (soft != nullptr && !soft->breaker.empty()) return soft->breaker;
    // An own desktop is one of them already.
    const bool own = pool.pool->kind() == v1::POOL_KIND_DEDICATED;
    if (!own && pool.desktops >= pool.pool->max_desktops()) {
      return absl::StrCat("the pool may have ", pool.pool->max_desktops(), " desktops at most");
    }
    if (!PlaceQuietly(need, Filled(pool, false)).empty()) return "";
    return NoRoom(pool, need, false);
  }

  // "no room: max-desktops on 1, memory on 2 hosts; hv-b1: needs ..."
  std::string NoRoom(PoolBook& pool, const PlacementNeed& need, bool with_starts) {
    const Placement placement = Place(need, Filled(pool, with_starts));
    if (placement.verdicts.empty()) return "no other site has hosts";
    std::map<std::string, int> rules;
    for (const v1::HostVerdict& verdict : placement.verdicts) ++rules[verdict.rejected_by()];
    const v1::HostVerdict& first = placement.verdicts.front();
    return absl::StrCat("no room, for these rules and so many hosts: ",
                        absl::StrJoin(rules, ", ",
                                      [](std::string* out, const auto& rule) {
                                        absl::StrAppend(out, rule.first, " ", rule.second);
                                      }),
                        "; ", first.host(), " ", first.reason());
  }

  void Start(const std::string& host, PoolBook& pool) {
    HostUse& use = uses_.at(host);
    use.memory_committed_mib += pool.pool->memory_mib();
    ++use.desktops;
    ++use.starts;
    ++site_starts_[SiteOf(host)];
    ++pool.desktops;
    in_flight_.emplace(now_s_ + pool.start_s, host);
  }

  // Goes on to when the next start ends. False: none is in flight.
  bool NextEnds() {
    if (in_flight_.empty()) return false;
    now_s_ = std::max(now_s_, in_flight_.top().first);
    while (!in_flight_.empty() && in_flight_.top().first <= now_s_) {
      const std::string host = in_flight_.top().second;
      in_flight_.pop();
      --uses_.at(host).starts;
      --site_starts_[SiteOf(host)];
    }
    return true;
  }

  const Fleet& fleet_;
  const BrokerSettings& settings_;
  std::set<std::string> lost_hosts_;
  std::map<std::string, HostUse> uses_;
  std::map<std::string, uint32_t> site_starts_;
  std::map<std::string, PoolBook> pools_;
  std::map<std::string, std::deque<std::string>> suspended_;
  std::priority_queue<InFlight, std::vector<InFlight>, std::greater<>> in_flight_;
  double now_s_ = 0;
};

}  // namespace

absl::Duration StartTimeOf(const Fleet& fleet, const std::string& pool) {
  std::vector<absl::Duration> took;
  for (const auto& entry : fleet.desktops) {
    const v1::Desktop& desktop = *entry.record;
    if (desktop.pool() != pool || desktop.state() != v1::DESKTOP_STATE_READY) continue;
    const absl::Duration start = absl::FromUnixMillis(desktop.state_since_unix_ms()) -
                                 absl::FromUnixNanos(desktop.proof().overlay_created_unix_ns());
    if (start > absl::ZeroDuration() && start < absl::Hours(1)) took.push_back(start);
  }
  if (took.empty()) return kAssumedStart;
  const auto middle = took.begin() + static_cast<std::ptrdiff_t>(took.size() / 2);
  std::nth_element(took.begin(), middle, took.end());
  return *middle;
}

Rehearsal RehearseLoss(const Fleet& fleet, const BrokerSettings& settings,
                       const std::string& site) {
  Stage stage(fleet, settings, site);
  using Rank = std::tuple<int64_t, int64_t, std::string>;
  std::map<Rank, const v1::Session*> order;
  for (const auto& entry : fleet.sessions) {
    const v1::Session& session = *entry.record;
    const v1::Desktop* desktop = fleet.desktops.Find(session.desktop());
    if (session.state() == v1::SESSION_STATE_ENDED || desktop == nullptr ||
        !stage.IsLost(desktop->host())) {
      continue;
    }
    const v1::Resource* pool = fleet.pools.Find(session.pool());
    const int64_t priority = pool == nullptr ? 0 : pool->pool().priority();
    order[{-priority, session.created_unix_ms(), session.id()}] = &session;
  }
  Rehearsal rehearsal;
  rehearsal.people.reserve(order.size());
  for (const auto& [rank, session] : order) {
    v1::RehearsedPerson& person = rehearsal.people.emplace_back();
    person.set_order(static_cast<uint32_t>(rehearsal.people.size()));
    person.set_user(session->user());
    person.set_pool(session->pool());
    stage.Serve(*session, person);
    ++(person.host().empty() ? rehearsal.wait : rehearsal.fit);
    rehearsal.all_ready_after_s = std::max(
        rehearsal.all_ready_after_s, static_cast<uint32_t>(std::max(0, person.ready_after_s())));
  }
  return rehearsal;
}

}  // namespace werkplek
