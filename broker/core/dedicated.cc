#include "broker/core/dedicated.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/commands.h"
#include "broker/core/connect.h"
#include "broker/core/desktops.h"
#include "broker/core/fences.h"
#include "broker/core/moves.h"
#include "broker/core/pools.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

// What is next for somebody who waits for an own desktop.
struct OwnStep {
  enum What { kWait, kAssign, kRefuse };
  What what = kWait;
  // kRefuse.
  std::string rule;
  // Why not now, for people.
  std::string reason;
};

OwnStep Wait(std::string reason) { return {OwnStep::kWait, "", std::move(reason)}; }
OwnStep RefuseFor(std::string rule, std::string reason) {
  return {OwnStep::kRefuse, std::move(rule), std::move(reason)};
}

uint32_t MaxFailures(const Turn& turn, const v1::Pool& pool) {
  return pool.max_failures() != 0 ? pool.max_failures() : turn.settings().default_max_failures;
}

// On its host's word, nothing of it runs there now.
bool IsOffThere(const Turn& turn, const v1::Desktop& desktop) {
  const HostSoft* soft = turn.fleet().host_soft.Find(desktop.host());
  if (soft == nullptr || !soft->report->adopted()) return false;
  const v1::DesktopReport* report = soft->FindDesktop(desktop.id());
  return report == nullptr ||
         (report->power() == v1::POWER_OFF && report->operation() == v1::COMMAND_UNSPECIFIED);
}

// The next generation, on its own host or on another of its storage, as `pool` says it.
void StartKept(Turn& turn, v1::Desktop desktop, const std::string& host, const v1::Pool& pool) {
  if (!turn.Move(DesktopEvent::kStart, desktop)) return;
  if (host != desktop.host()) {
    turn.Count("kept_starts", "elsewhere");
    turn.Audit("broker", "start-elsewhere", absl::StrCat("desktop:", desktop.id()), "ok", "",
               {{"from", desktop.host()},
                {"to", host},
                {"generation", absl::StrCat(desktop.generation() + 1)},
                {"fenced_by", desktop.fenced_by()}});
  } else {
    turn.Count("kept_starts", "in place");
  }
  desktop.set_generation(desktop.generation() + 1);
  desktop.set_host(host);
  desktop.set_memory_mib(pool.memory_mib());
  desktop.set_vcpus(pool.vcpus());
  desktop.set_network(pool.network());
  desktop.set_wanted_power(v1::POWER_RUNNING);
  StampFenceAfter(turn, desktop);
  Send(turn, desktop, v1::COMMAND_START);
  turn.Put(std::move(desktop));
}

// Where the desktop, which is off, may start; it is started there when that may be now.
class Starter {
 public:
  Starter(Turn& turn, const v1::Desktop& desktop, const v1::Pool& pool)
      : turn_(turn), desktop_(desktop), pool_(pool) {
    // It goes on standing on the image that it was made from.
    pool_.set_image(desktop.image());
    // The fence is durable before anything is started on its strength.
    movable_ = IsFencedOff(desktop) && !turn.Wrote(desktop.id()) && !pool.storage().empty();
  }

  OwnStep Go() {
    v1::HostVerdict here = VerdictHere();
    const bool fits = here.rejected_by().empty();
    if (movable_ && (!fits || desktop_.failures() > 0)) {
      const std::string host = PlaceFor(turn_, pool_, desktop_.host()).host;
      if (!host.empty()) {
        StartKept(turn_, desktop_, host, pool_);
        return Wait("is starting");
      }
    }
    if (!fits) return WhyNot(here);
    if (!IsOffThere(turn_, desktop_)) {
      return Wait(absl::StrCat("is being shut down on host ", desktop_.host()));
    }
    StartKept(turn_, desktop_, desktop_.host(), pool_);
    return Wait("is starting");
  }

 private:
  // A larger size than it has is taken when it fits.
  v1::HostVerdict VerdictHere() {
    if (desktop_.host().empty()) {
      v1::HostVerdict none;
      none.set_rejected_by("host");
      none.set_reason("it has no host");
      return none;
    }
    v1::HostVerdict verdict = VerdictInPlace(turn_, pool_, desktop_);
    if (verdict.rejected_by() != kRuleMemory) return verdict;
    pool_.set_memory_mib(std::min(pool_.memory_mib(), desktop_.memory_mib()));
    return VerdictInPlace(turn_, pool_, desktop_);
  }

  OwnStep WhyNot(const v1::HostVerdict& here) const {
    const std::string at = absl::StrCat("host ", desktop_.host(), " ", here.reason());
    if (movable_) return Wait(absl::StrCat(at, "; no other host has room for it now"));
    if (pool_.storage().empty()) {
      const std::string alone = absl::StrCat("its disk is on that host alone: ", at);
      const bool for_long = here.rejected_by() == kRuleHostOpen ||
                            here.rejected_by() == kRuleSiteOpen ||
                            here.rejected_by() == kRuleSiteLoss;
      return for_long ? RefuseFor(here.rejected_by(), alone) : Wait(alone);
    }
    const FenceVerdict fence = FenceOf(turn_, desktop_);
    return Wait(fence.sure() ? at : absl::StrCat(at, "; ", fence.reason));
  }

  Turn& turn_;
  const v1::Desktop desktop_;
  v1::Pool pool_;
  bool movable_ = false;
};

OwnStep ReadyStep(Turn& turn, const v1::Desktop& desktop, const v1::Pool& pool) {
  const std::string& host = desktop.host();
  if (HostGivesOut(turn, host)) return {OwnStep::kAssign, "", ""};
  const v1::Schedulability work = WorkAllowed(turn.fleet(), host);
  if (work == v1::SCHEDULABILITY_OPEN) {
    return Wait(absl::StrCat("its host ", host, " has not reported lately"));
  }
  if (work == v1::SCHEDULABILITY_MAINTENANCE) {
    return RefuseFor("host-open", absl::StrCat("its host ", host, " is in maintenance"));
  }
  if (pool.storage().empty()) {
    return RefuseFor("host-open", absl::StrCat("its host ", host, " is being drained, and its ",
                                               "disk is on that host alone"));
  }
  ParkDesktop(turn, desktop, "its host is being drained");
  return Wait("is shut down, to start on another host");
}

OwnStep LostStep(const Turn& turn, const v1::Desktop& desktop, const v1::Pool& pool) {
  const std::string text = FenceText(turn.fleet(), turn.settings(), desktop, turn.now());
  return pool.storage().empty() ? RefuseFor("host-silent", text) : Wait(text);
}

OwnStep NextFor(Turn& turn, const v1::Desktop& desktop, const v1::Pool& pool,
                const ConnectCall& call) {
  std::string brake = BrakeText(turn, desktop.id());
  if (!brake.empty()) return RefuseFor("site-braked", std::move(brake));
  if (IsMoving(desktop) && desktop.state() != v1::DESKTOP_STATE_LOST) {
    return Wait(absl::StrCat("is on its way to host ", desktop.moving_to()));
  }
  switch (desktop.state()) {
    case v1::DESKTOP_STATE_READY:
      return ReadyStep(turn, desktop, pool);
    case v1::DESKTOP_STATE_OFF: {
      const bool failed_now = absl::FromUnixMillis(desktop.state_since_unix_ms()) >= call.arrived;
      if (desktop.failures() > 0 && failed_now &&
          desktop.failures() % MaxFailures(turn, pool) == 0) {
        return RefuseFor("start-failed",
                         absl::StrCat("it could not be started: ", desktop.last_error()));
      }
      return Starter(turn, desktop, pool).Go();
    }
    case v1::DESKTOP_STATE_LOST:
      return LostStep(turn, desktop, pool);
    case v1::DESKTOP_STATE_ERROR:
      return RefuseFor("start-failed", absl::StrCat("it could not be made, ", desktop.failures(),
                                                    " times: ", desktop.last_error(),
                                                    "; an administrator must reset it"));
    case v1::DESKTOP_STATE_DIRTY:
      return Wait("waits to be made fresh");
    default:
      return Wait("is starting");
  }
}

v1::Explanation ExplainOwn(const v1::Desktop& desktop, bool first_use) {
  v1::Explanation explanation;
  explanation.set_decision(first_use ? "first use of a dedicated desktop" : "own desktop");
  explanation.add_steps("own session: none in this pool");
  explanation.add_steps(first_use
                            ? absl::StrCat("own desktop: none yet; ", desktop.id(), " on ",
                                           desktop.host(), " is kept from now on")
                            : absl::StrCat("own desktop: ", desktop.id(), " on ", desktop.host()));
  return explanation;
}

// An own desktop, or one that nobody owns, is given to the caller, who is out of the queue.
void Give(Turn& turn, ConnectCall call, const std::string& id, bool first_use) {
  if (!StillMay(turn, call)) return;
  if (first_use) GiveSpare(turn, id, call.user);
  const auto desktop = turn.fleet().desktops.FindShared(id);
  turn.Count("connects", first_use ? "first use" : "own desktop");
  Assign(turn, std::move(call), id, ExplainOwn(*desktop, first_use));
}

// A fence that is sure is at once good for a start.
bool IsSilent(const Turn& turn, const std::string& host) {
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  return soft == nullptr || soft->liveness != v1::LIVENESS_UP;
}

// Whether the desktop was seen to run at its generation on the host that it stands on now: the
// deed beside its disk says so, then.
bool HasRunHere(const v1::Desktop& desktop) {
  return desktop.state() == v1::DESKTOP_STATE_READY ||
         desktop.state() == v1::DESKTOP_STATE_ASSIGNED ||
         (IsFencedOff(desktop) && desktop.failures() == 0);
}

// Whether a desktop that the broker does not know may have a disk that somebody keeps.
bool MayBeKept(const Fleet& fleet, const v1::DesktopReport& report) {
  if (report.kept()) return true;
  const size_t dash = report.desktop().rfind('-');
  const v1::Resource* pool =
      dash == std::string::npos ? nullptr : fleet.pools.Find(report.desktop().substr(0, dash));
  if (pool != nullptr) return pool->pool().kind() == v1::POOL_KIND_DEDICATED;
  // While it is being made, or could not be, its host does not tell what was there before.
  const auto makes = [](v1::CommandVerb verb) {
    return verb == v1::COMMAND_START || verb == v1::COMMAND_RESET;
  };
  return makes(report.operation()) || makes(report.failed_verb());
}

}  // namespace

const v1::Desktop* OwnDesktop(const Turn& turn, const ConnectCall& call) {
  const auto pool = turn.state().pools.find(call.pool);
  if (pool == turn.state().pools.end()) return nullptr;
  const auto own = pool->second.owned.find(OwnerKey(call.user));
  return own == pool->second.owned.end() ? nullptr : turn.fleet().desktops.Find(own->second);
}

void GiveSpare(Turn& turn, const std::string& id, const std::string& user) {
  v1::Desktop desktop = *turn.fleet().desktops.Find(id);
  desktop.set_owner(user);
  turn.Put(std::move(desktop));
}

void ServeOwners(Turn& turn, const std::string& pool_name) {
  PoolState& pool = turn.state().pools[pool_name];
  const auto record = turn.fleet().pools.FindShared(pool_name);
  for (auto at = pool.queue.begin(); at != pool.queue.end();) {
    if (turn.fleet().live_sessions.Find(LiveSessionKey(at->user, pool_name)) != nullptr) {
      ++at;
      continue;
    }
    const v1::Desktop* own = OwnDesktop(turn, *at);
    const std::string id = own == nullptr ? PickSpare(turn, pool_name, at->home) : own->id();
    OwnStep step;
    if (own != nullptr) {
      const v1::Desktop desktop = *own;
      step = NextFor(turn, desktop, record->pool(), *at);
    } else if (!id.empty()) {
      step.what = OwnStep::kAssign;
    }
    at->reason = step.reason;
    if (step.what == OwnStep::kWait) {
      ++at;
      continue;
    }
    ConnectCall call = std::move(*at);
    at = pool.queue.erase(at);
    if (step.what == OwnStep::kAssign) {
      Give(turn, std::move(call), id, own == nullptr);
    } else {
      Refuse(turn, call, step.rule, {absl::StrCat("your desktop ", id, ": ", step.reason)});
    }
  }
}

void TellOwners(Turn& turn, const std::string& pool_name) {
  const auto record = turn.fleet().pools.FindShared(pool_name);
  for (ConnectCall& call : turn.state().pools[pool_name].queue) {
    const v1::Desktop* own = OwnDesktop(turn, call);
    if (own == nullptr) continue;
    call.queued = true;
    ConnectProgress progress{call.call, {}, false};
    if (IsStarting(own->state())) {
      if (call.told_starting == own->id()) continue;
      call.told_starting = own->id();
      call.told_reason.clear();
      progress.update.mutable_starting()->set_desktop(own->id());
      turn.Emit(std::move(progress));
      continue;
    }
    if (call.told_reason == call.reason && call.told_position != 0) continue;
    call.told_reason = call.reason;
    call.told_position = 1;
    call.told_starting.clear();
    v1::Queued& queued = *progress.update.mutable_queued();
    queued.set_position(1);
    queued.set_deadline_unix_ms(absl::ToUnixMillis(call.deadline));
    v1::Explanation& explanation = *queued.mutable_explanation();
    explanation.set_decision("queued");
    explanation.set_decided_at_unix_ms(turn.now_ms());
    explanation.add_steps(absl::StrCat("own desktop: ", own->id(), ", ", StateName(own->state()),
                                       own->host().empty() ? "" : " on ", own->host()));
    if (!call.reason.empty()) explanation.add_steps(call.reason);
    for (std::string& trouble : SiteTroubles(turn.fleet(), record->pool())) {
      explanation.add_steps(std::move(trouble));
    }
    if (!record->pool().storage().empty()) {
      KeepVerdicts(PlaceFor(turn, record->pool(), own->host()).verdicts, explanation);
    }
    turn.Emit(std::move(progress));
  }
}

void ParkIdle(Turn& turn, const std::string& pool_name) {
  PoolState& pool = turn.state().pools[pool_name];
  if (pool.owned_count[static_cast<size_t>(v1::DESKTOP_STATE_READY)] == 0) return;
  const std::set<std::string> ready = pool.In(v1::DESKTOP_STATE_READY);
  for (const std::string& id : ready) {
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (!IsKept(*desktop) || IsMoving(*desktop) || IsSilent(turn, desktop->host())) continue;
    const v1::Schedulability work = WorkAllowed(turn.fleet(), desktop->host());
    const absl::Time since = absl::FromUnixMillis(desktop->state_since_unix_ms());
    if (work == v1::SCHEDULABILITY_DRAINING) {
      ParkDesktop(turn, *desktop, "its host is being drained");
    } else if (work == v1::SCHEDULABILITY_OPEN && turn.now() - since >= kSpareRest) {
      ParkDesktop(turn, *desktop, "nobody uses it");
    }
  }
}

void ParkDesktop(Turn& turn, v1::Desktop desktop, const std::string& why) {
  if (!turn.Move(DesktopEvent::kPark, desktop)) return;
  desktop.clear_session();
  desktop.set_wanted_power(v1::POWER_OFF);
  turn.Note(Severity::kInfo, "desktop-parked",
            {{"desktop", desktop.id()}, {"host", desktop.host()}, {"why", why}});
  if (!IsOffThere(turn, desktop)) Send(turn, desktop, v1::COMMAND_STOP);
  turn.Put(std::move(desktop));
}

void ReturnKept(Turn& turn, v1::Desktop desktop, const v1::DesktopReport* report) {
  const bool runs = report != nullptr && report->generation() == desktop.generation() &&
                    !report->fenced() && report->power() != v1::POWER_OFF;
  // What does not run, JudgeFences sees by the same report.
  if (!runs) return;
  if (!turn.Move(DesktopEvent::kRuns, desktop)) return;
  desktop.set_wanted_power(report->power());
  turn.Note(Severity::kInfo, "desktop-ready",
            {{"desktop", desktop.id()}, {"host", desktop.host()}, {"why", "its host came back"}});
  turn.Put(std::move(desktop));
}

void KeptRuns(Turn& turn, v1::Desktop desktop) {
  const absl::Time since = absl::FromUnixMillis(desktop.state_since_unix_ms());
  if (!turn.Move(DesktopEvent::kRuns, desktop)) return;
  NoteStarted(turn, since, desktop);
  turn.Put(std::move(desktop));
}

void StopStranger(Turn& turn, const std::string& host, const v1::DesktopReport& report) {
  const v1::Desktop* record = turn.fleet().desktops.Find(report.desktop());
  const bool to_remove = record != nullptr && record->state() == v1::DESKTOP_STATE_STOPPING;
  const bool has_work = report.kept() && report.used();
  const bool spare = record != nullptr && !IsKept(*record) && (to_remove || !has_work);
  const bool left_over =
      record != nullptr && record->generation() > report.generation() && HasRunHere(*record);
  if (spare || left_over || !MayBeKept(turn.fleet(), report)) {
    turn.Note(Severity::kWarning, "unknown-desktop",
              {{"desktop", report.desktop()}, {"host", host}});
    return SendRemove(turn, host, report.desktop(), report.generation());
  }
  // Its disk may be the only copy of somebody's work, or the very one that starts elsewhere now.
  if (report.power() == v1::POWER_OFF || report.operation() != v1::COMMAND_UNSPECIFIED) return;
  turn.Count("strangers", "kept");
  turn.Note(Severity::kError, "unknown-kept-desktop",
            {{"desktop", report.desktop()},
             {"host", host},
             {"generation", absl::StrCat(report.generation())}});
  SendStop(turn, host, report.desktop(), report.generation());
}

void ForgetDesktop(Turn& turn, v1::Desktop desktop, const v1::DesktopReport& report) {
  if (!desktop.session().empty()) {
    LoseSession(turn, desktop.session(), "the desktop is not the one it was");
  }
  if (desktop.state() != v1::DESKTOP_STATE_LOST && desktop.state() != v1::DESKTOP_STATE_STOPPING) {
    desktop.set_last_error("its disk there is kept and was used, and nobody is known to own it");
    return LoseDesktop(turn, std::move(desktop));
  }
  if (!turn.Move(DesktopEvent::kGone, desktop)) return;
  turn.Audit("broker", "desktop-forgotten", absl::StrCat("desktop:", desktop.id()), "somebodys",
             desktop.host(), {{"why", desktop.last_error()}});
  turn.EraseDesktop(desktop.id());
  StopStranger(turn, desktop.host(), report);
}

uint32_t Existing(const PoolState& pool) {
  auto existing = static_cast<uint32_t>(pool.owned.size());
  for (const auto state :
       {v1::DESKTOP_STATE_PROVISIONING, v1::DESKTOP_STATE_STARTING, v1::DESKTOP_STATE_READY,
        v1::DESKTOP_STATE_ASSIGNED, v1::DESKTOP_STATE_DIRTY, v1::DESKTOP_STATE_RESETTING,
        v1::DESKTOP_STATE_ERROR}) {
    existing += pool.Unowned(state);
  }
  return existing;
}

}  // namespace werkplek
