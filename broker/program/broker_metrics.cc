#include "broker/program/broker_metrics.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "broker/core/rehearsal.h"

namespace werkplek {
namespace {

// What is read off the fleet, which only the leader has.
constexpr absl::string_view kDesktops = "werkplek_desktops";
constexpr absl::string_view kMoving = "werkplek_desktops_moving";
constexpr absl::string_view kHosts = "werkplek_hosts";
constexpr absl::string_view kPoolBroken = "werkplek_pool_broken";
constexpr absl::string_view kSessions = "werkplek_sessions";
constexpr absl::string_view kSignIns = "werkplek_sign_ins";
constexpr absl::string_view kSiteLossWouldWait = "werkplek_site_loss_would_wait";
constexpr absl::string_view kWaiting = "werkplek_waiting";
constexpr absl::string_view kOfFleet[] = {
    kDesktops, kMoving, kHosts, kPoolBroken, kSessions, kSignIns, kSiteLossWouldWait, kWaiting};

// What a count's label says.
absl::string_view LabelName(absl::string_view what) {
  if (what == "sign_ins" || what == "connects" || what == "calls" || what == "moves") {
    return "outcome";
  }
  if (what == "rejected_transitions") return "machine";
  if (what == "rpc_refused" || what == "commits_failed") return "code";
  if (what == "start_failures") return "pool";
  if (what == "fences") return "by";
  if (what == "fence_commands") return "outcome";
  return "kind";
}

// "DESKTOP_STATE_READY" -> "ready".
std::string StateWord(absl::string_view name, absl::string_view prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

std::string DesktopWord(v1::DesktopState state) {
  return StateWord(v1::DesktopState_Name(state), "DESKTOP_STATE_");
}

std::string SessionWord(v1::SessionState state) {
  return StateWord(v1::SessionState_Name(state), "SESSION_STATE_");
}

// Every state has its line, so that a zero is a zero and not a gap.
struct PoolCounts {
  PoolCounts() {
    for (int state = v1::DesktopState_MIN; state <= v1::DesktopState_MAX; ++state) {
      by_state[DesktopWord(v1::DesktopState(state))] = 0;
    }
  }
  std::map<std::string, double> by_state;
};

}  // namespace

void BrokerMetrics::Observe(const Effect& effect) {
  if (const auto* took = std::get_if<StageTook>(&effect)) {
    metrics_->ObserveSeconds("werkplek_stage_seconds", "How long a stage of a call took.",
                             {{"stage", took->stage}}, took->took);
  } else if (const auto* counted = std::get_if<Counted>(&effect)) {
    Count(counted->what, counted->label);
  }
}

void BrokerMetrics::Count(absl::string_view what, absl::string_view label) {
  metrics_->Count(absl::StrCat("werkplek_", what, "_total"), "Events of this kind since the start.",
                  {{std::string(LabelName(what)), std::string(label)}});
}

void BrokerMetrics::ReadFleet(const Fleet* fleet) {
  metrics_->SetGauge("werkplek_leading", "1 while this broker leads.", {},
                     fleet == nullptr ? 0 : 1);
  if (fleet == nullptr) return Forget();
  ReadHosts(*fleet);
  ReadPools(*fleet);
  ReadSites(*fleet);
  std::map<std::string, double> sessions;
  for (int state = v1::SessionState_MIN + 1; state <= v1::SessionState_MAX; ++state) {
    sessions[SessionWord(v1::SessionState(state))] = 0;
  }
  for (const auto& [id, session] : fleet->sessions) ++sessions[SessionWord(session->state())];
  for (const auto& [state, count] : sessions) {
    metrics_->SetGauge(kSessions, "Sessions by state.", {{"state", state}}, count);
  }
  double moving = 0;
  for (const auto& [id, desktop] : fleet->desktops) moving += desktop->moving_to().empty() ? 0 : 1;
  metrics_->SetGauge(kMoving, "Desktops on their way to another host.", {}, moving);
  metrics_->SetGauge(kSignIns, "Sign-ins that are good now.", {}, double(fleet->sign_ins.size()));
}

void BrokerMetrics::Forget() {
  for (const absl::string_view gauge : kOfFleet) metrics_->ClearGauge(gauge);
  MutexLock lock(mutex_);
  known_pools_.clear();
  known_sites_.clear();
  rehearsed_ = absl::InfinitePast();
}

void BrokerMetrics::ReadHosts(const Fleet& fleet) {
  std::map<std::string, double> hosts = {{"up", 0}, {"suspect", 0}, {"down", 0}};
  for (const auto& [name, soft] : fleet.host_soft) {
    if (soft->liveness == v1::LIVENESS_UP) ++hosts["up"];
    if (soft->liveness == v1::LIVENESS_SUSPECT) ++hosts["suspect"];
    if (soft->liveness == v1::LIVENESS_DOWN) ++hosts["down"];
  }
  for (const auto& [liveness, count] : hosts) {
    metrics_->SetGauge(kHosts, "Hosts by what their agents' reports say.", {{"liveness", liveness}},
                       count);
  }
}

void BrokerMetrics::ReadPools(const Fleet& fleet) {
  std::map<std::string, PoolCounts> pools;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, record] : fleet.pools) known_pools_.insert(name);
    for (const std::string& name : known_pools_) pools.emplace(name, PoolCounts());
  }
  for (const auto& [id, desktop] : fleet.desktops) {
    const auto pool = pools.find(desktop->pool());
    if (pool != pools.end()) ++pool->second.by_state[DesktopWord(desktop->state())];
  }
  for (const auto& [pool, counts] : pools) {
    const PoolSoft* soft = fleet.pool_soft.Find(pool);
    for (const auto& [state, count] : counts.by_state) {
      metrics_->SetGauge(kDesktops, "Desktops by state; `ready` are the spares.",
                         {{"pool", pool}, {"state", state}}, count);
    }
    metrics_->SetGauge(kWaiting, "People in the pool's queue.", {{"pool", pool}},
                       soft == nullptr ? 0 : soft->waiting);
    metrics_->SetGauge(kPoolBroken, "1 while the pool makes no new desktops.", {{"pool", pool}},
                       soft == nullptr || soft->breaker.empty() ? 0 : 1);
  }
}

void BrokerMetrics::ReadSites(const Fleet& fleet) {
  MutexLock lock(mutex_);
  const absl::Time begin = absl::Now();
  const absl::Duration since = begin - rehearsed_;
  const absl::Duration pause = std::max(absl::Seconds(5), 20 * rehearsal_took_);
  const bool changed = fleet.revision != rehearsed_revision_ || since > absl::Minutes(1);
  // A clock that was set back does not silence it.
  if (since >= absl::ZeroDuration() && (since < pause || !changed)) return;
  for (const auto& [name, record] : fleet.sites) known_sites_.insert(name);
  for (const std::string& site : known_sites_) {
    metrics_->SetGauge(kSiteLossWouldWait, "People of the site for whom the others have no room.",
                       {{"site", site}}, double(RehearseLoss(fleet, settings_, site).wait));
  }
  rehearsed_ = begin;
  rehearsed_revision_ = fleet.revision;
  rehearsal_took_ = absl::Now() - begin;
}

void BrokerMetrics::SetAgentsConnected(size_t count) {
  metrics_->SetGauge("werkplek_agents_connected", "Agents with a stream.", {}, double(count));
}

void BrokerMetrics::SetClockGood(bool good) {
  metrics_->SetGauge("werkplek_clock_good", "0 while the clock is wrong and no code is judged.", {},
                     good ? 1 : 0);
}

void BrokerMetrics::SetSelfProbe(bool good) {
  metrics_->SetGauge("werkplek_self_probe", "1 while the broker answers itself.", {}, good ? 1 : 0);
}

}  // namespace werkplek
