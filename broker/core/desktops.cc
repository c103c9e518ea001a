#include "broker/core/desktops.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/candidates.h"
#include "broker/core/commands.h"
#include "broker/core/dedicated.h"
#include "broker/core/fences.h"
#include "broker/core/moves.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "broker/model/pool_sites.h"

namespace werkplek {
namespace {

uint32_t Or(uint32_t value, uint32_t otherwise) { return value != 0 ? value : otherwise; }

uint32_t SiteStarts(const BrokerState& state, const std::string& site) {
  const auto at = state.site_starts.find(site);
  return at == state.site_starts.end() ? 0 : at->second;
}

// What failed with the whole pool has one more try, elsewhere where there is room: one by one
// nothing is known to be wrong with them.
void ForgetFailures(Turn& turn, const std::string& pool) {
  const PoolState& own = turn.state().pools[pool];
  const v1::Resource* record = turn.fleet().pools.Find(pool);
  const uint32_t given_up_at = Or(record == nullptr ? 0 : record->pool().max_failures(),
                                  turn.settings().default_max_failures);
  std::set<std::string> ids = own.In(v1::DESKTOP_STATE_ERROR);
  ids.insert(own.In(v1::DESKTOP_STATE_DIRTY).begin(), own.In(v1::DESKTOP_STATE_DIRTY).end());
  for (const std::string& id : ids) {
    v1::Desktop desktop = *turn.fleet().desktops.Find(id);
    if (IsKept(desktop) || desktop.failures() == 0) continue;
    desktop.set_failures(std::min(desktop.failures(), given_up_at - 1));
    if (desktop.state() == v1::DESKTOP_STATE_ERROR) {
      SpoilDesktop(turn, std::move(desktop), "its pool works again");
    } else {
      turn.Put(std::move(desktop));
    }
  }
}

HostCandidate Candidate(const BrokerState& state, const std::string& name, const v1::Host& host,
                        const v1::Pool& pool, const v1::Image* image) {
  HostUse use;
  const auto own = state.hosts.find(name);
  if (own != state.hosts.end()) {
    use = {own->second.memory_committed_mib,
           static_cast<uint32_t>(own->second.desktops.size() + own->second.incoming.size()),
           own->second.starts};
  }
  HostCandidate candidate = CandidateOf(state.fleet, state.settings, name, host, pool, image, use,
                                        SiteStarts(state, host.site()));
  candidate.rests = state.balance.resting.count(name) != 0;
  return candidate;
}

}  // namespace

Placement PlaceFor(Turn& turn, const v1::Pool& pool, const std::string& avoid) {
  return PlaceFor(turn, pool, HomeOfPool(pool), avoid);
}

Placement PlaceFor(Turn& turn, const v1::Pool& pool, const Home& home, const std::string& avoid) {
  const BrokerState& state = turn.state();
  const v1::Resource* image = state.fleet.images.Find(pool.image());
  std::vector<HostCandidate> candidates;
  candidates.reserve(state.fleet.hosts.size());
  for (const auto& entry : state.fleet.hosts) {
    if (entry.key == avoid) continue;
    candidates.push_back(Candidate(state, entry.key, entry.record->host(), pool,
                                   image == nullptr ? nullptr : &image->image()));
  }
  return Place(NeedOf(pool, home), candidates);
}

std::string ImageFault(const Turn& turn, const v1::Pool& pool) {
  const v1::Resource* image = turn.fleet().images.Find(pool.image());
  std::string fault;
  for (const auto& entry : turn.fleet().hosts) {
    const bool in_site = MayStandIn(pool, entry.record->host().site());
    const HostSoft* soft = turn.fleet().host_soft.Find(entry.key);
    if (!in_site || soft == nullptr || turn.state().closed_hosts.count(entry.key) != 0) continue;
    HostCandidate candidate;
    FillImage(*soft->report, pool.image(), image == nullptr ? nullptr : &image->image(), candidate);
    if (candidate.image_error.empty()) return "";
    if (!fault.empty()) continue;
    fault = absl::StrCat("the image ", pool.image(), " failed on every host that is there for it; ",
                         entry.key, ": ", candidate.image_error.substr(0, 512));
  }
  return fault;
}

v1::HostVerdict VerdictInPlace(Turn& turn, const v1::Pool& pool, const v1::Desktop& desktop) {
  const BrokerState& state = turn.state();
  const v1::Resource* image = state.fleet.images.Find(pool.image());
  const v1::Resource* host = state.fleet.hosts.Find(desktop.host());
  if (host == nullptr) {
    v1::HostVerdict gone;
    gone.set_rejected_by(kRuleHostUp);
    gone.set_reason("is not declared");
    return gone;
  }
  HostCandidate candidate = Candidate(state, desktop.host(), host->host(), pool,
                                      image == nullptr ? nullptr : &image->image());
  candidate.memory_committed_mib -= desktop.memory_mib();
  candidate.desktops -= 1;
  // It stands where it stands.
  PlacementNeed need = NeedOf(pool, {});
  need.sites.clear();
  return Place(need, {candidate}).verdicts.front();
}

std::string CreateDesktop(Turn& turn, const std::string& pool_name, const v1::Pool& pool,
                          const std::string& host, const std::string& owner,
                          const v1::Desktop* failed) {
  v1::Desktop desktop;
  do {
    desktop.set_id(absl::StrCat(pool_name, "-", turn.FreshHex(8)));
  } while (turn.fleet().desktops.Find(desktop.id()) != nullptr);
  desktop.set_pool(pool_name);
  desktop.set_host(host);
  desktop.set_image(pool.image());
  desktop.set_generation(1);
  desktop.set_wanted_power(v1::POWER_RUNNING);
  desktop.set_memory_mib(pool.memory_mib());
  desktop.set_vcpus(pool.vcpus());
  desktop.set_network(pool.network());
  desktop.set_owner(owner);
  StampFenceAfter(turn, desktop);
  if (failed != nullptr) {
    desktop.set_failures(failed->failures());
    desktop.set_last_error(failed->last_error());
  }
  if (!turn.Move(DesktopEvent::kPlace, desktop)) return "";
  turn.Note(Severity::kInfo, "desktop-created",
            {{"desktop", desktop.id()}, {"pool", pool_name}, {"host", host}});
  const bool dedicated = pool.kind() == v1::POOL_KIND_DEDICATED;
  Send(turn, desktop, dedicated ? v1::COMMAND_RESET : v1::COMMAND_START);
  std::string id = desktop.id();
  turn.Put(std::move(desktop));
  return id;
}

void MakeElsewhere(Turn& turn, const v1::Desktop& failed, const v1::Pool& pool,
                   const std::string& host) {
  turn.Note(Severity::kInfo, "start-elsewhere",
            {{"desktop", failed.id()}, {"failed_on", failed.host()}, {"host", host}});
  RemoveDesktop(turn, failed);
  CreateDesktop(turn, failed.pool(), pool, host, failed.owner(), &failed);
}

bool StartFits(const Turn& turn, const v1::Desktop& desktop) {
  const BrokerState& state = turn.state();
  const v1::Resource* record = state.fleet.hosts.Find(desktop.host());
  const HostSoft* soft = state.fleet.host_soft.Find(desktop.host());
  const auto own = state.hosts.find(desktop.host());
  if (record == nullptr || soft == nullptr || own == state.hosts.end()) return false;
  if (soft->liveness != v1::LIVENESS_UP || soft->link == 0) return false;
  if (WorkAllowed(state.fleet, desktop.host()) != v1::SCHEDULABILITY_OPEN) return false;
  const v1::Host& host = record->host();
  // A desktop that starts already holds its place.
  const uint32_t mine = IsStarting(desktop.state()) ? 1 : 0;
  return own->second.starts - mine < HostMaxStarts(state.settings, host) &&
         SiteStarts(state, host.site()) - mine <
             SiteMaxStarts(state.fleet, state.settings, host.site());
}

void ResetDesktop(Turn& turn, v1::Desktop desktop) {
  // Its disk is on its way; when it has arrived, this is asked again.
  if (IsMoving(desktop)) return;
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  const v1::Resource* host = turn.fleet().hosts.Find(desktop.host());
  const HostSoft* soft = turn.fleet().host_soft.Find(desktop.host());
  if (pool == nullptr || host == nullptr || soft == nullptr) {
    return RemoveDesktop(turn, std::move(desktop));
  }
  const uint64_t limit = HostMemoryLimitMib(host->host(), soft->report->load());
  const uint64_t others =
      turn.state().hosts[desktop.host()].memory_committed_mib - desktop.memory_mib();
  uint64_t wanted = pool->pool().memory_mib();
  if (wanted > desktop.memory_mib() && others + wanted > limit) {
    if (!IsKept(desktop)) return RemoveDesktop(turn, std::move(desktop));
    wanted = desktop.memory_mib();
  }
  if (!turn.Move(DesktopEvent::kReset, desktop)) return;
  desktop.set_generation(desktop.generation() + 1);
  desktop.set_wanted_power(v1::POWER_RUNNING);
  desktop.set_image(pool->pool().image());
  desktop.set_memory_mib(wanted);
  desktop.set_vcpus(pool->pool().vcpus());
  desktop.set_network(pool->pool().network());
  StampFenceAfter(turn, desktop);
  Send(turn, desktop, v1::COMMAND_RESET);
  turn.Put(std::move(desktop));
}

void RemoveDesktop(Turn& turn, v1::Desktop desktop) {
  if (IsMoving(desktop)) return;
  if (IsKept(desktop)) {
    turn.Count("kept_spared", "remove");
    return turn.Note(Severity::kError, "kept-desktop-spared", {{"desktop", desktop.id()}});
  }
  if (!turn.Move(DesktopEvent::kRemove, desktop)) return;
  desktop.clear_owner();
  desktop.set_wanted_power(v1::POWER_OFF);
  turn.Note(Severity::kInfo, "desktop-removed",
            {{"desktop", desktop.id()}, {"pool", desktop.pool()}, {"host", desktop.host()}});
  Send(turn, desktop, v1::COMMAND_REMOVE);
  turn.Put(std::move(desktop));
}

void SpoilDesktop(Turn& turn, v1::Desktop desktop, const std::string& why) {
  // A reset that an administrator asked for goes on.
  if (IsKept(desktop) && desktop.state() != v1::DESKTOP_STATE_RESETTING) {
    return ParkDesktop(turn, std::move(desktop), why);
  }
  if (!turn.Move(DesktopEvent::kSpoil, desktop)) return;
  turn.Note(Severity::kInfo, "desktop-spoiled",
            {{"desktop", desktop.id()}, {"host", desktop.host()}, {"why", why}});
  turn.Put(std::move(desktop));
}

void SpoilOnRequest(Turn& turn, v1::Desktop desktop) {
  if (!turn.Move(DesktopEvent::kSpoil, desktop)) return;
  turn.Note(Severity::kInfo, "desktop-spoiled",
            {{"desktop", desktop.id()}, {"host", desktop.host()}, {"why", "an admin reset it"}});
  turn.Put(std::move(desktop));
}

void ReleaseDesktop(Turn& turn, v1::Desktop desktop) {
  desktop.clear_session();
  if (IsKept(desktop)) return ParkDesktop(turn, std::move(desktop), "its session is over");
  if (turn.Move(DesktopEvent::kRelease, desktop)) turn.Put(std::move(desktop));
}

void FailDesktop(Turn& turn, v1::Desktop desktop, const std::string& why) {
  const bool kept = IsKept(desktop) && desktop.state() == v1::DESKTOP_STATE_STARTING;
  if (!kept && !turn.Move(DesktopEvent::kSpoil, desktop)) return;
  const v1::Resource* record = turn.fleet().pools.Find(desktop.pool());
  const v1::Pool pool = record == nullptr ? v1::Pool() : record->pool();
  desktop.set_failures(desktop.failures() + 1);
  desktop.set_last_error(why.substr(0, 1024));
  turn.Count("start_failures", desktop.pool());
  turn.Note(Severity::kWarning, "start-failed",
            {{"desktop", desktop.id()},
             {"host", desktop.host()},
             {"generation", absl::StrCat(desktop.generation())},
             {"failures", absl::StrCat(desktop.failures())},
             {"why", desktop.last_error()}});
  if (kept) return ParkDesktop(turn, std::move(desktop), "its start failed");
  const std::string pool_name = desktop.pool();
  Breaker& breaker = turn.state().pools[pool_name].breaker;
  if (breaker.Failed(Or(pool.breaker_failures(), turn.settings().default_breaker_failures), why,
                     turn.settings().breaker_probe, turn.now())) {
    turn.Audit("broker", "breaker-open", absl::StrCat("pool:", pool_name), breaker.reason(), "");
  }
  // While the whole pool fails, a failure says nothing of this desktop, and the next probe may need
  // it.
  if (!breaker.tripped() &&
      desktop.failures() >= Or(pool.max_failures(), turn.settings().default_max_failures) &&
      turn.Move(DesktopEvent::kGiveUp, desktop)) {
    turn.Audit("broker", "desktop-error", absl::StrCat("desktop:", desktop.id()),
               "too-many-failures", desktop.host());
  }
  turn.Put(std::move(desktop));
  ShowPool(turn, pool_name);
}

void NoteStarted(Turn& turn, absl::Time since, v1::Desktop& desktop) {
  desktop.set_failures(0);
  desktop.clear_last_error();
  turn.Emit(StageTook{"start", turn.now() - since});
  turn.Note(Severity::kInfo, "desktop-ready",
            {{"desktop", desktop.id()},
             {"host", desktop.host()},
             {"generation", absl::StrCat(desktop.generation())}});
}

void ProveDesktop(Turn& turn, v1::Desktop desktop, const v1::ProofOfCleanness& proof) {
  const absl::Time since = absl::FromUnixMillis(desktop.state_since_unix_ms());
  if (!turn.Move(DesktopEvent::kProved, desktop)) return;
  *desktop.mutable_proof() = proof;
  NoteStarted(turn, since, desktop);
  const std::string pool = desktop.pool();
  turn.Put(std::move(desktop));
  CloseBreaker(turn, pool, "a start worked");
}

void LoseDesktop(Turn& turn, v1::Desktop desktop) {
  const v1::DesktopState was = desktop.state();
  if (!turn.Move(DesktopEvent::kHostLost, desktop)) return;
  desktop.clear_session();
  if (!IsKept(desktop)) {
    // There is nothing of its owner's on it.
    desktop.clear_owner();
  } else if (was == v1::DESKTOP_STATE_DIRTY || was == v1::DESKTOP_STATE_RESETTING) {
    desktop.set_last_error("its host was lost before its reset was done; reset it again");
  }
  turn.Put(std::move(desktop));
}

bool IsStale(const Turn& turn, const v1::Desktop& desktop) {
  const v1::Resource* record = turn.fleet().pools.Find(desktop.pool());
  if (record == nullptr) return false;
  const v1::Pool& pool = record->pool();
  if (desktop.image() != pool.image() || desktop.memory_mib() != pool.memory_mib() ||
      desktop.vcpus() != pool.vcpus() || desktop.network() != pool.network()) {
    return true;
  }
  if (desktop.proof().generation() != desktop.generation()) return false;
  const v1::Resource* image = turn.fleet().images.Find(pool.image());
  return image != nullptr && desktop.proof().backing_sha256() != image->image().sha256();
}

void ShowPool(Turn& turn, const std::string& pool) {
  BrokerState& state = turn.state();
  const auto own = state.pools.find(pool);
  if (own == state.pools.end()) return;
  PoolSoft shown;
  shown.waiting = static_cast<uint32_t>(own->second.queue.size());
  shown.failures_in_a_row = own->second.breaker.failures();
  shown.breaker = own->second.breaker.reason();
  const PoolSoft* before = state.fleet.pool_soft.Find(pool);
  if (before != nullptr && before->waiting == shown.waiting &&
      before->failures_in_a_row == shown.failures_in_a_row && before->breaker == shown.breaker) {
    return;
  }
  state.fleet.pool_soft.Put(pool, std::make_shared<const PoolSoft>(std::move(shown)));
}

void CloseBreaker(Turn& turn, const std::string& pool, const std::string& why) {
  PoolState& own = turn.state().pools[pool];
  if (own.breaker.Close()) {
    turn.Audit("broker", "breaker-closed", absl::StrCat("pool:", pool), "ok", "", {{"why", why}});
    ForgetFailures(turn, pool);
  }
  ShowPool(turn, pool);
}

}  // namespace werkplek
