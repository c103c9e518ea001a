#include "broker/core/balance.h"

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/balance_picture.h"
#include "broker/core/desktops.h"
#include "broker/core/moves.h"
#include "broker/core/pools.h"
#include "broker/core/sites.h"
#include "broker/reconcile/balancing.h"
#include "broker/reconcile/daily_hours.h"

namespace werkplek {
namespace {

constexpr absl::Duration kLookEach = absl::Seconds(1);
constexpr absl::Duration kPoliciesEach = absl::Seconds(10);
// Moves that an answer tells of.
constexpr size_t kMostTold = 200;

// Begins those of the moves that limits and room allow now. How many began.
int Begin(Turn& turn, const std::vector<PlannedMove>& moves, const std::string& actor) {
  int begun = 0;
  for (const PlannedMove& move : moves) {
    if (turn.state().moving.size() >= turn.settings().balance.limits.all) break;
    begun += BeginMove(turn, move.desktop, move.to, move.reason, actor) ? 1 : 0;
  }
  return begun;
}

// What is known of desktops and hosts that are no more.
void Forget(Turn& turn) {
  BrokerState& state = turn.state();
  BalanceState& balance = state.balance;
  const auto no_desktop = [&](const auto& entry) {
    return state.fleet.desktops.Find(entry.first) == nullptr;
  };
  const auto erase = [](auto& map, const auto& gone) {
    for (auto at = map.begin(); at != map.end();) at = gone(*at) ? map.erase(at) : std::next(at);
  };
  erase(balance.troubles, no_desktop);
  erase(balance.moved_at, [&](const auto& entry) {
    return no_desktop(entry) || turn.now() - entry.second >= turn.settings().balance.rest;
  });
  erase(balance.moves, [&](const auto& entry) { return state.moving.count(entry.first) == 0; });
  erase(balance.strays, [&](const auto& entry) {
    const HostSoft* soft = state.fleet.host_soft.Find(entry.first.first);
    return soft == nullptr || soft->FindDesktop(entry.first.second) == nullptr;
  });
  std::vector<std::string> gone;
  for (const auto& note : state.fleet.move_notes) {
    if (state.fleet.desktops.Find(note.key) == nullptr) gone.push_back(note.key);
  }
  for (const std::string& id : gone) state.fleet.move_notes.Erase(id);
}

// Hosts that an administrator drains, by themselves or with their site, and on which something is.
std::vector<std::string> Drained(const Turn& turn) {
  std::vector<std::string> hosts;
  for (const auto& entry : turn.fleet().hosts) {
    const auto own = turn.state().hosts.find(entry.key);
    if (own == turn.state().hosts.end() || own->second.desktops.empty()) continue;
    if (WorkAllowed(turn.fleet(), entry.key) != v1::SCHEDULABILITY_DRAINING) continue;
    // What a lost site had is followed through as its loss.
    if (SiteLossText(turn.fleet(), entry.record->host().site()).empty()) hosts.push_back(entry.key);
  }
  return hosts;
}

void Drain(Turn& turn, const std::string& host) {
  DrainHost(turn, host);
  const BalancePlan plan = PlanDrain(PictureForHost(turn, host), host);
  for (const Waiting& wait : plan.waits) {
    const v1::Desktop* desktop = turn.fleet().desktops.Find(wait.desktop);
    if (desktop == nullptr || IsMoving(*desktop)) continue;
    NoteMove(turn, wait.desktop, "waits",
             absl::StrCat(host, " is being drained; it waits there: ", wait.reason));
  }
  Begin(turn, plan.moves, "broker");
}

BalancePlan PlanEvening(const Turn& turn, const std::string& site, bool at_once, size_t most) {
  return PlanRebalance(PictureOfSite(turn, site), site, turn.settings().balance.limits, at_once,
                       most);
}

uint32_t MovesInSite(const Turn& turn, const std::string& site) {
  uint32_t moves = 0;
  for (const std::string& id : turn.state().moving) {
    const v1::Resource* host = turn.fleet().hosts.Find(turn.fleet().desktops.Find(id)->host());
    moves += host != nullptr && host->host().site() == site ? 1 : 0;
  }
  return moves;
}

// Sites that an administrator wants even. One is done when there is nothing left to plan.
void GoOnEvening(Turn& turn) {
  const MoveLimits& limits = turn.settings().balance.limits;
  const auto evenings = turn.state().balance.evenings;
  for (const auto& [site, evening] : evenings) {
    const uint32_t under_way = MovesInSite(turn, site);
    if (under_way >= limits.per_site || turn.state().moving.size() >= limits.all) continue;
    const bool there = turn.fleet().sites.Find(site) != nullptr;
    const BalancePlan plan = there ? PlanEvening(turn, site, true, limits.all) : BalancePlan();
    if (!plan.moves.empty()) {
      Begin(turn, plan.moves, evening.actor);
    } else if (under_way == 0) {
      turn.Audit(evening.actor, "rebalance-done", absl::StrCat("site:", site), "ok", evening.origin,
                 {{"why", plan.reason}});
      turn.state().balance.evenings.erase(site);
    }
  }
}

void EvenByPolicy(Turn& turn, const std::string& site) {
  auto& since = turn.state().balance.uneven_since;
  const BalancePlan plan = PlanEvening(turn, site, false, turn.settings().balance.limits.all);
  if (plan.moves.empty()) {
    since.erase(site);
    return;
  }
  // Loads go up and down; what passes by itself is waited for.
  const absl::Time uneven = since.try_emplace(site, turn.now()).first->second;
  if (turn.now() - uneven >= turn.settings().balance.settle) Begin(turn, plan.moves, "broker");
}

void SetResting(Turn& turn, std::set<std::string> resting) {
  std::set<std::string>& before = turn.state().balance.resting;
  if (before == resting) return;
  for (const std::string& host : resting) {
    if (before.count(host) == 0) turn.Audit("broker", "host-rests", "host:" + host, "ok", "");
  }
  for (const std::string& host : before) {
    if (resting.count(host) == 0) turn.Audit("broker", "host-wakes", "host:" + host, "ok", "");
  }
  before = std::move(resting);
  ++turn.state().capacity_version;
  turn.TouchAllPools();
}

// Spares that cannot move are made anew elsewhere, one at a time, so that the pool does not run
// short.
void RemakeOne(Turn& turn, const std::string& site, const std::vector<std::string>& spares) {
  const auto starts = turn.state().site_starts.find(site);
  if (spares.empty() || (starts != turn.state().site_starts.end() && starts->second > 0)) return;
  const auto desktop = turn.fleet().desktops.FindShared(spares.front());
  if (desktop != nullptr) RemoveDesktop(turn, *desktop);
}

void Consolidate(Turn& turn, const std::vector<std::string>& sites) {
  const BalanceSettings& balance = turn.settings().balance;
  if (!balance.consolidation || !IsWithin(*balance.consolidation, turn.now())) {
    return SetResting(turn, {});
  }
  std::set<std::string> resting;
  std::vector<std::pair<std::string, ConsolidationPlan>> plans;
  for (const std::string& site : sites) {
    plans.emplace_back(site,
                       PlanConsolidation(PictureOfSite(turn, site), site, balance.spare_hosts));
    const ConsolidationPlan& plan = plans.back().second;
    resting.insert(plan.resting.begin(), plan.resting.end());
  }
  SetResting(turn, std::move(resting));
  for (const auto& [site, plan] : plans) {
    Begin(turn, plan.moves, "broker");
    RemakeOne(turn, site, plan.remade);
  }
}

void FollowPolicies(Turn& turn) {
  std::vector<std::string> sites;
  for (const auto& entry : turn.fleet().sites) {
    if (SiteLossText(turn.fleet(), entry.key).empty()) sites.push_back(entry.key);
  }
  Consolidate(turn, sites);
  if (!turn.settings().balance.automatic) return;
  for (const std::string& site : sites) EvenByPolicy(turn, site);
}

}  // namespace

void Balance(Turn& turn) {
  BalanceState& balance = turn.state().balance;
  if (turn.now() - balance.looked < kLookEach) return;
  balance.looked = turn.now();
  Forget(turn);
  for (const std::string& host : Drained(turn)) Drain(turn, host);
  GoOnEvening(turn);
  if (turn.now() - balance.policies_looked < kPoliciesEach) return;
  balance.policies_looked = turn.now();
  FollowPolicies(turn);
}

std::string MoveTargetOf(const Turn& turn, const v1::Desktop& desktop, std::string& why) {
  const v1::Resource* host = turn.fleet().hosts.Find(desktop.host());
  if (host == nullptr) {
    why = "its host is not declared";
    return "";
  }
  BalancePicture picture = PictureForHost(turn, desktop.host());
  for (BalanceDesktop& one : picture.desktops) {
    // That its session is being opened is why it is asked.
    if (one.id == desktop.id() && turn.state().balance.troubles.count(one.id) == 0) {
      one.stays.clear();
    }
  }
  return PlanMove(picture, desktop.id(), why);
}

bool HostRests(const Turn& turn, const std::string& host) {
  return turn.state().balance.resting.count(host) != 0;
}

CallAnswer Rebalance(Turn& turn, const CallRequested& event, const v1::RebalanceRequest& request,
                     const std::string& actor) {
  const std::string& site = request.site();
  if (turn.fleet().sites.Find(site) == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no site \"", site, "\""));
  }
  const BalancePlan plan = PlanEvening(turn, site, true, kMostTold);
  auto response = std::make_shared<v1::RebalanceResponse>();
  size_t bytes = 0;
  for (const PlannedMove& planned : plan.moves) {
    v1::Move& move = *response->add_moves();
    move.set_desktop(planned.desktop);
    move.set_from(planned.from);
    move.set_to(planned.to);
    move.set_how("live");
    move.set_reason(planned.reason);
    bytes += move.ByteSizeLong();
    if (bytes > (size_t{40} << 10)) break;
  }
  response->set_reason(static_cast<size_t>(response->moves_size()) < plan.moves.size()
                           ? "more follow"
                           : plan.reason);
  if (!request.dry_run()) {
    turn.Audit(actor, "rebalance", absl::StrCat("site:", site), "ok", Origin(event.caller),
               {{"moves", absl::StrCat(plan.moves.size())}});
    turn.state().balance.evenings[site] = {actor, Origin(event.caller)};
    Begin(turn, plan.moves, actor);
  }
  return std::shared_ptr<const google::protobuf::Message>(std::move(response));
}

}  // namespace werkplek
