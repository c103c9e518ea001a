#include "broker/core/pools.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/balance.h"
#include "broker/core/commands.h"
#include "broker/core/connect.h"
#include "broker/core/dedicated.h"
#include "broker/core/desktops.h"
#include "broker/core/fences.h"
#include "broker/core/moves.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "broker/model/pool_sites.h"
#include "broker/reconcile/pool_sizing.h"

namespace werkplek {
namespace {

constexpr v1::DesktopState kIdleStates[] = {
    v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_RESETTING,
    v1::DESKTOP_STATE_READY,        v1::DESKTOP_STATE_DIRTY,    v1::DESKTOP_STATE_ERROR,
};

// After the loss of hosts a pool may have thousands; to look at each of them whenever one desktop
// has changed would hold everybody up.
constexpr uint32_t kFewDirty = 64;

// Of those that nobody owns.
uint32_t Starting(const PoolState& pool) {
  return pool.Unowned(v1::DESKTOP_STATE_PROVISIONING) + pool.Unowned(v1::DESKTOP_STATE_STARTING) +
         pool.Unowned(v1::DESKTOP_STATE_RESETTING);
}

// People who wait for a desktop that nobody owns yet.
uint32_t Waiting(const Turn& turn, const PoolState& pool) {
  return static_cast<uint32_t>(std::count_if(
      pool.queue.begin(), pool.queue.end(),
      [&turn](const ConnectCall& call) { return OwnDesktop(turn, call) == nullptr; }));
}

// Work goes on there, and nothing is begun or stopped.
bool IsInMaintenance(const Turn& turn, const std::string& host) {
  return WorkAllowed(turn.fleet(), host) == v1::SCHEDULABILITY_MAINTENANCE;
}

// A host that is only silent may be back in a moment: its spares still count, unless an operator
// has to say first what it means.
bool SparesCount(const Turn& turn, const std::string& host) {
  if (WorkAllowed(turn.fleet(), host) != v1::SCHEDULABILITY_OPEN) return false;
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  if (soft == nullptr || soft->liveness != v1::LIVENESS_DOWN) return true;
  const v1::Resource* record = turn.fleet().hosts.Find(host);
  return turn.fleet().site_losses.Find(record->host().site()) == nullptr;
}

// What of the pool stands on hosts whose spares do not count.
IdleCounts OnClosedHosts(const Turn& turn, const std::string& pool) {
  IdleCounts sum;
  for (const std::string& host : turn.state().closed_hosts) {
    const auto at = turn.state().hosts.find(host);
    if (at == turn.state().hosts.end() || SparesCount(turn, host)) continue;
    const auto idle = at->second.idle.find(pool);
    if (idle == at->second.idle.end()) continue;
    sum.ready += idle->second.ready;
    sum.dirty += idle->second.dirty;
    sum.starting += idle->second.starting;
  }
  return sum;
}

PoolPicture PictureOf(const Turn& turn, const std::string& name, const v1::Pool& pool,
                      const PoolState& own) {
  PoolPicture picture;
  picture.min_desktops = pool.min_desktops();
  picture.max_desktops = pool.max_desktops();
  picture.running_spares = pool.running_spares();
  picture.schedulability = pool.schedulability();
  picture.waiting = Waiting(turn, own);
  // What somebody owns is never anybody else's.
  picture.assigned =
      static_cast<uint32_t>(own.owned.size()) + own.Unowned(v1::DESKTOP_STATE_ASSIGNED);
  picture.starting = Starting(own);
  picture.dirty = own.Unowned(v1::DESKTOP_STATE_DIRTY);
  picture.errors = own.Unowned(v1::DESKTOP_STATE_ERROR);
  picture.suspended = static_cast<uint32_t>(own.suspended.size());
  picture.running = own.Unowned(v1::DESKTOP_STATE_READY) - picture.suspended;
  const IdleCounts closed = OnClosedHosts(turn, name);
  picture.unusable = closed.ready + closed.dirty + closed.starting;
  picture.dirty -= closed.dirty;
  picture.starting -= closed.starting;
  // The two kinds of spare are not told apart on a closed host; running ones go first.
  const uint32_t from_running = std::min(closed.ready, picture.running);
  picture.running -= from_running;
  picture.suspended -= std::min(closed.ready - from_running, picture.suspended);
  return picture;
}

std::string SiteOfHost(const Turn& turn, const std::string& host) {
  const v1::Resource* record = turn.fleet().hosts.Find(host);
  return record == nullptr ? "" : record->host().site();
}

// The pool's sites were others when the desktop was made.
bool StandsOutside(const Turn& turn, const v1::Pool& pool, const v1::Desktop& desktop) {
  return !pool.sites().empty() && !MayStandIn(pool, SiteOfHost(turn, desktop.host()));
}

// A start may be made when the breaker is closed, or as its probe.
bool BreakerAllows(Turn& turn, PoolState& own) {
  if (!own.breaker.tripped()) return true;
  if (Starting(own) > 0 || !own.breaker.ProbeDue(turn.now())) return false;
  own.breaker.Probed(turn.settings().breaker_probe, turn.now());
  return true;
}

void RemoveIdle(Turn& turn, const std::string& name) {
  PoolState& own = turn.state().pools[name];
  for (const v1::DesktopState state : kIdleStates) {
    const std::set<std::string> ids = own.In(state);
    for (const std::string& id : ids) {
      const auto desktop = turn.fleet().desktops.FindShared(id);
      if (desktop != nullptr && !IsKept(*desktop)) RemoveDesktop(turn, *desktop);
    }
  }
}

// False: the host was left without the network that the pool has got since. What a silent one has
// is not known.
bool HasNetwork(const Turn& turn, const std::string& host, const std::string& network) {
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  if (network.empty() || soft == nullptr || soft->liveness != v1::LIVENESS_UP) return true;
  const auto& there = soft->report->networks();
  return std::find(there.begin(), there.end(), network) != there.end();
}

// Makes the desktop fresh: where it is, or on another host when its start failed there, or the
// network is not there. False: not now.
bool Renew(Turn& turn, PoolState& own, const v1::Pool& pool, const v1::Desktop& desktop) {
  const bool away = !HasNetwork(turn, desktop.host(), pool.network());
  if ((desktop.failures() > 0 || away) && !IsKept(desktop)) {
    const Placement elsewhere = PlaceFor(turn, pool, desktop.host());
    if (!elsewhere.host.empty()) {
      if (!BreakerAllows(turn, own)) return false;
      MakeElsewhere(turn, desktop, pool, elsewhere.host);
      return true;
    }
  }
  if (away || !StartFits(turn, desktop) || !BreakerAllows(turn, own)) return false;
  ResetDesktop(turn, desktop);
  return true;
}

// Those that wait to be made fresh; who failed least comes first.
std::vector<std::string> DirtyByFailures(const Turn& turn, const PoolState& own) {
  std::vector<std::pair<uint32_t, std::string>> order;
  for (const std::string& id : own.In(v1::DESKTOP_STATE_DIRTY)) {
    order.emplace_back(turn.fleet().desktops.Find(id)->failures(), id);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::string> ids;
  ids.reserve(order.size());
  for (auto& [failures, id] : order) ids.push_back(std::move(id));
  return ids;
}

// Whether a desktop that nobody owns goes from where it stands, as soon as it is idle.
bool HasToGo(const Turn& turn, const v1::Pool& pool, const v1::Desktop& desktop) {
  return WorkAllowed(turn.fleet(), desktop.host()) == v1::SCHEDULABILITY_DRAINING ||
         HostRests(turn, desktop.host()) || StandsOutside(turn, pool, desktop);
}

// Of what is too many, who failed most goes first.
void RemoveDirty(Turn& turn, const v1::Pool& pool, const std::vector<std::string>& by_failures,
                 uint32_t too_many) {
  for (auto at = by_failures.rbegin(); at != by_failures.rend(); ++at) {
    const auto desktop = turn.fleet().desktops.FindShared(*at);
    if (!desktop->owner().empty() || IsInMaintenance(turn, desktop->host())) continue;
    if (HasToGo(turn, pool, *desktop)) {
      RemoveDesktop(turn, *desktop);
    } else if (too_many > 0) {
      --too_many;
      RemoveDesktop(turn, *desktop);
    }
  }
}

// In the order of their failures: an open breaker lets one start through at a time, and what fails
// is not given up meanwhile.
void ServeDirty(Turn& turn, const std::string& name, const v1::Pool& pool, const PoolPlan& plan) {
  PoolState& own = turn.state().pools[name];
  const std::vector<std::string> ids = DirtyByFailures(turn, own);
  RemoveDirty(turn, pool, ids, plan.remove_dirty);
  uint32_t resets = plan.reset;
  for (const std::string& id : ids) {
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (desktop == nullptr || desktop->state() != v1::DESKTOP_STATE_DIRTY) continue;
    const bool open = WorkAllowed(turn.fleet(), desktop->host()) == v1::SCHEDULABILITY_OPEN;
    if (!desktop->owner().empty()) {
      // An administrator wants it fresh, or it was never ready yet.
      if (open || !IsKept(*desktop)) Renew(turn, own, pool, *desktop);
    } else if (open && resets > 0 && !HasToGo(turn, pool, *desktop) &&
               Renew(turn, own, pool, *desktop)) {
      --resets;
    }
  }
}

void RemoveSpares(Turn& turn, const std::string& name, const PoolPlan& plan) {
  PoolState& own = turn.state().pools[name];
  uint32_t suspended = plan.remove_suspended;
  uint32_t running = plan.remove_running;
  if (suspended == 0 && running == 0) return;
  const std::set<std::string> ids = own.In(v1::DESKTOP_STATE_READY);
  for (const std::string& id : ids) {
    uint32_t& left = own.suspended.count(id) != 0 ? suspended : running;
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (left == 0 || !desktop->owner().empty()) continue;
    if (IsInMaintenance(turn, desktop->host())) continue;
    --left;
    RemoveDesktop(turn, *desktop);
  }
}

// Changes what is wanted of up to `count` spares: suspended ones to running, or the reverse.
void SetSparePower(Turn& turn, const std::string& name, v1::Power power, uint32_t count) {
  if (count == 0) return;
  PoolState& own = turn.state().pools[name];
  const bool resume = power == v1::POWER_RUNNING;
  const std::set<std::string> ids = resume ? own.suspended : own.In(v1::DESKTOP_STATE_READY);
  for (const std::string& id : ids) {
    if (count == 0) return;
    const auto before = turn.fleet().desktops.FindShared(id);
    if (before->wanted_power() == power || !HostGivesOut(turn, before->host())) continue;
    if (!before->owner().empty()) continue;
    const absl::Time since = absl::FromUnixMillis(before->state_since_unix_ms());
    if (!resume && turn.now() - since < kSpareRest) continue;
    v1::Desktop desktop = *before;
    desktop.set_wanted_power(power);
    Send(turn, desktop, resume ? v1::COMMAND_RESUME : v1::COMMAND_SUSPEND);
    turn.Put(std::move(desktop));
    --count;
  }
}

// What nobody owns outside the pool's sites goes, as from a draining host; what is missing then is
// made inside them. True: something has to stay there for now.
bool RemoveOutside(Turn& turn, const std::string& name, const v1::Pool& pool) {
  if (pool.sites().empty()) return false;
  PoolState& own = turn.state().pools[name];
  bool left = false;
  for (const v1::DesktopState state : kIdleStates) {
    const std::set<std::string> ids = own.In(state);
    for (const std::string& id : ids) {
      const auto desktop = turn.fleet().desktops.FindShared(id);
      if (!desktop->owner().empty() || !StandsOutside(turn, pool, *desktop)) continue;
      if (IsMoving(*desktop) || IsInMaintenance(turn, desktop->host())) {
        left = true;
      } else {
        RemoveDesktop(turn, *desktop);
      }
    }
  }
  return left;
}

// Spares with an older image, size or network are made anew, as fast as starts are allowed. Where
// the network is not, they stay until another host has room for what replaces them.
void RenewStale(Turn& turn, const std::string& name, const v1::Pool& pool) {
  PoolState& own = turn.state().pools[name];
  if (!own.stale) return;
  const bool left_outside = RemoveOutside(turn, name, pool);
  if (own.breaker.tripped()) return;
  own.stale = left_outside;
  bool elsewhere_full = false;
  const std::set<std::string> ids = own.In(v1::DESKTOP_STATE_READY);
  for (const std::string& id : ids) {
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (IsKept(*desktop) || StandsOutside(turn, pool, *desktop)) continue;
    if (!IsStale(turn, *desktop)) continue;
    own.stale = true;
    if (IsInMaintenance(turn, desktop->host())) continue;
    if (!HasNetwork(turn, desktop->host(), pool.network())) {
      if (elsewhere_full || IsMoving(*desktop)) continue;
      const Placement elsewhere = PlaceFor(turn, pool, desktop->host());
      elsewhere_full = elsewhere.host.empty();
      if (!elsewhere_full) MakeElsewhere(turn, *desktop, pool, elsewhere.host);
    } else if (StartFits(turn, *desktop)) {
      SpoilDesktop(turn, *desktop, "the pool's image, size or network is another now");
      const auto spoiled = turn.fleet().desktops.FindShared(id);
      ResetDesktop(turn, *spoiled);
    }
  }
}

// Homes of those who wait and for whom nothing is being started there yet, in their order.
std::vector<Home> HomesWaitedFor(const Turn& turn, const PoolState& own) {
  std::map<std::string, uint32_t> starting;
  for (const auto state :
       {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_RESETTING}) {
    for (const std::string& id : own.In(state)) {
      const v1::Desktop& desktop = *turn.fleet().desktops.Find(id);
      if (desktop.owner().empty()) ++starting[SiteOfHost(turn, desktop.host())];
    }
  }
  std::vector<Home> homes;
  for (const ConnectCall& call : own.queue) {
    if (call.home.site.empty() || OwnDesktop(turn, call) != nullptr) continue;
    if (uint32_t& there = starting[call.home.site]; there > 0) {
      --there;
    } else {
      homes.push_back(call.home);
    }
  }
  return homes;
}

// Makes desktops in the homes of those who wait. People whose home is required get theirs even when
// the pool has spares enough in other sites. How many were made.
uint32_t CreateAtHome(Turn& turn, const std::string& name, const v1::Pool& pool, uint32_t count) {
  PoolState& own = turn.state().pools[name];
  const uint32_t existing = Existing(own);
  std::set<std::string> full;
  uint32_t made = 0;
  for (const Home& home : HomesWaitedFor(turn, own)) {
    const bool wanted = made < count || (home.required && existing + made < pool.max_desktops());
    if (!wanted || full.count(home.site) != 0) continue;
    const Placement placement = PlaceFor(turn, pool, home);
    if (placement.host.empty()) {
      full.insert(home.site);
      continue;
    }
    if (!BreakerAllows(turn, own)) return made;
    CreateDesktop(turn, name, pool, placement.host);
    ++made;
  }
  return made;
}

void CreateWanted(Turn& turn, const std::string& name, const v1::Pool& pool, uint32_t count) {
  PoolState& own = turn.state().pools[name];
  if (own.breaker.tripped() && !own.breaker.ProbeDue(turn.now())) return;
  count -= std::min(count, CreateAtHome(turn, name, pool, count));
  if (own.blocked_at == turn.state().capacity_version) return;
  for (; count > 0; --count) {
    const Placement placement = PlaceFor(turn, pool);
    if (placement.host.empty()) {
      own.blocked_at = turn.state().capacity_version;
      return;
    }
    if (!BreakerAllows(turn, own)) return;
    CreateDesktop(turn, name, pool, placement.host);
  }
}

// Hosts that all report the image as failed break the pool before any start does.
void JudgeImage(Turn& turn, const std::string& name, const v1::Pool& pool, PoolState& own) {
  if (own.breaker.SetFault(ImageFault(turn, pool))) {
    const bool open = own.breaker.tripped();
    turn.Audit("broker", open ? "breaker-open" : "breaker-closed", absl::StrCat("pool:", name),
               open ? own.breaker.reason() : "ok", "",
               open ? LogFields() : LogFields{{"why", "a host can use the image"}});
  }
  // Nothing that may still come can serve them.
  const bool dedicated = pool.kind() == v1::POOL_KIND_DEDICATED;
  if (own.breaker.faulty() && !own.queue.empty() && Starting(own) == 0 && !dedicated) {
    RefuseQueue(turn, name, "pool-broken",
                absl::StrCat("the pool makes no new desktops: ", own.breaker.reason()));
  }
}

}  // namespace

bool HostGivesOut(const Turn& turn, const std::string& host) {
  return turn.state().closed_hosts.count(host) == 0;
}

std::string PickSpare(const Turn& turn, const std::string& pool, const Home& home) {
  const auto at = turn.state().pools.find(pool);
  if (at == turn.state().pools.end()) return "";
  const v1::Resource* record = turn.fleet().pools.Find(pool);
  if (record == nullptr) return "";
  const PoolState& own = at->second;
  std::string best;
  int best_rank = 8;
  for (const std::string& id : own.In(v1::DESKTOP_STATE_READY)) {
    const int suspended = own.suspended.count(id) != 0 ? 2 : 0;
    if (suspended >= best_rank) continue;
    const v1::Desktop* desktop = turn.fleet().desktops.Find(id);
    if (desktop == nullptr || !desktop->owner().empty() || IsMoving(*desktop)) continue;
    if (!HostGivesOut(turn, desktop->host())) continue;
    if (StandsOutside(turn, record->pool(), *desktop)) continue;
    const bool outside = !home.site.empty() && SiteOfHost(turn, desktop->host()) != home.site;
    if (outside && home.required) continue;
    const int rank = (outside ? 4 : 0) + suspended + (own.stale && IsStale(turn, *desktop) ? 1 : 0);
    if (rank >= best_rank) continue;
    best = id;
    best_rank = rank;
    if (rank == 0) break;
  }
  return best;
}

void ServePool(Turn& turn, const std::string& name, bool all_dirty) {
  const auto record = turn.fleet().pools.FindShared(name);
  if (record == nullptr) {
    RefuseQueue(turn, name, "no-entitlement", "the pool is no more");
    return;
  }
  const v1::Pool& pool = record->pool();
  PoolState& own = turn.state().pools[name];
  if (pool.schedulability() != v1::SCHEDULABILITY_OPEN && !own.queue.empty()) {
    RefuseQueue(turn, name, "pool-draining", "nobody gets a new desktop there now");
  }
  if (pool.kind() == v1::POOL_KIND_DEDICATED) {
    JudgeFences(turn, name);
    ServeOwners(turn, name);
    ParkIdle(turn, name);
  } else {
    AssignWaiting(turn, name);
  }
  JudgeImage(turn, name, pool, own);
  if (pool.schedulability() == v1::SCHEDULABILITY_OPEN) RenewStale(turn, name, pool);
  const PoolPlan plan = SizePool(PictureOf(turn, name, pool, own));
  if (plan.remove_all) {
    RemoveIdle(turn, name);
  } else {
    if (all_dirty || own.Count(v1::DESKTOP_STATE_DIRTY) <= kFewDirty) {
      ServeDirty(turn, name, pool, plan);
    }
    RemoveSpares(turn, name, plan);
    SetSparePower(turn, name, v1::POWER_RUNNING, plan.resume);
    SetSparePower(turn, name, v1::POWER_SUSPENDED, plan.suspend);
    CreateWanted(turn, name, pool, plan.create);
  }
  ShowPool(turn, name);
}

void ServeTouched(Turn& turn, bool all_dirty) {
  // Serving touches the pool itself again; a second pass finds nothing new to do, so the bound is
  // never met in practice.
  for (int passes = 0; passes < 10'000; ++passes) {
    const std::string pool = turn.PopTouched();
    if (pool.empty()) return;
    ServePool(turn, pool, all_dirty);
  }
}

void DrainHost(Turn& turn, const std::string& host) {
  const auto at = turn.state().hosts.find(host);
  if (at == turn.state().hosts.end()) return;
  const std::set<std::string> ids = at->second.desktops;
  for (const std::string& id : ids) {
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (std::find(std::begin(kIdleStates), std::end(kIdleStates), desktop->state()) !=
        std::end(kIdleStates)) {
      // A kept one is shut down there (ParkIdle).
      if (!IsKept(*desktop)) RemoveDesktop(turn, *desktop);
    }
  }
}

}  // namespace werkplek
