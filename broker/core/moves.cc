#include "broker/core/moves.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/balance.h"
#include "broker/core/commands.h"
#include "broker/core/fences.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

// An agent lists its domains every five seconds: so long a desktop may be seen on neither host.
constexpr absl::Duration kArrivalGrace = absl::Seconds(20);
constexpr absl::Duration kLongestRetry = absl::Minutes(30);
constexpr int kStepsKept = 5;

const v1::Host* HostOf(const Turn& turn, const std::string& name) {
  const v1::Resource* record = turn.fleet().hosts.Find(name);
  return record == nullptr ? nullptr : &record->host();
}

// A host that answers and has told of all that it has; nullptr: it is not so.
const HostSoft* Heard(const Turn& turn, const std::string& name) {
  const HostSoft* soft = turn.fleet().host_soft.Find(name);
  const bool heard =
      soft != nullptr && soft->liveness == v1::LIVENESS_UP && soft->report->adopted();
  return heard ? soft : nullptr;
}

// What the host has of this generation of the desktop; nullptr: nothing.
const v1::DesktopReport* HeldBy(const HostSoft* host, const v1::Desktop& desktop) {
  const v1::DesktopReport* report = host == nullptr ? nullptr : host->FindDesktop(desktop.id());
  return report != nullptr && report->generation() == desktop.generation() ? report : nullptr;
}

// Whether it serves, or could, and this is it: what is off somewhere is a left-over.
bool IsAlive(const v1::Desktop& desktop, const v1::DesktopReport& report) {
  return (desktop.state() == v1::DESKTOP_STATE_READY ||
          desktop.state() == v1::DESKTOP_STATE_ASSIGNED) &&
         report.power() != v1::POWER_OFF;
}

MoveSoft& SoftOf(Turn& turn, const v1::Desktop& desktop) {
  const auto [at, fresh] = turn.state().balance.moves.try_emplace(desktop.id());
  if (fresh) at->second.since = at->second.evidence = turn.now();
  return at->second;
}

std::string WayOf(const v1::Desktop& desktop) {
  return absl::StrCat(desktop.host(), " to ", desktop.moving_to());
}

void EndMove(Turn& turn, v1::Desktop desktop) {
  turn.state().balance.moves.erase(desktop.id());
  desktop.clear_moving_to();
  turn.Put(std::move(desktop));
}

// It stays where it is; the next report is judged as usual.
void FailMove(Turn& turn, const v1::Desktop& desktop, const std::string& why) {
  MoveTrouble& trouble = turn.state().balance.troubles[desktop.id()];
  const uint32_t doublings = std::min(trouble.failures, 10u);
  const absl::Duration wait =
      std::min(kLongestRetry, turn.settings().balance.retry * (int64_t{1} << doublings));
  ++trouble.failures;
  trouble.not_before = turn.now() + wait;
  trouble.target = desktop.moving_to();
  trouble.why = why.substr(0, 256);
  turn.Count("moves", "failed");
  turn.Audit("broker", "move", absl::StrCat("desktop:", desktop.id()), "failed", WayOf(desktop),
             {{"why", trouble.why}, {"failures", absl::StrCat(trouble.failures)}});
  NoteMove(turn, desktop.id(), "not moved",
           absl::StrCat("the move from ", WayOf(desktop), " failed: ", trouble.why));
  EndMove(turn, desktop);
}

// From here on `host` is the one that has it.
void Arrive(Turn& turn, v1::Desktop desktop, const std::string& host) {
  BalanceState& balance = turn.state().balance;
  const auto soft = balance.moves.find(desktop.id());
  if (soft != balance.moves.end()) {
    turn.Emit(StageTook{"move", turn.now() - soft->second.since});
  }
  turn.Count("moves", "done");
  turn.Note(Severity::kInfo, "desktop-moved",
            {{"desktop", desktop.id()}, {"from", desktop.host()}, {"host", host}});
  NoteMove(turn, desktop.id(), "moved",
           absl::StrCat("arrived on ", host, ", before that on ", desktop.host()));
  balance.troubles.erase(desktop.id());
  balance.moved_at[desktop.id()] = turn.now();
  desktop.set_host(host);
  StampFenceAfter(turn, desktop);
  const std::string session = desktop.session();
  EndMove(turn, std::move(desktop));
  if (!session.empty()) Advance(turn, session);
}

// The source has it no more, or has it off: libvirt forgets it there only after it was handed over,
// and a source that loses its power in between finds it defined. `why` is what is to be said when
// the other host has it not.
void JudgeGone(Turn& turn, const v1::Desktop& desktop, MoveSoft& move, const std::string& why) {
  if (move.gone_since == absl::InfiniteFuture()) move.gone_since = turn.now();
  const std::string& target = desktop.moving_to();
  if (HeldBy(Heard(turn, target), desktop) != nullptr) return Arrive(turn, desktop, target);
  const HostSoft* there = turn.fleet().host_soft.Find(target);
  const auto own = turn.state().hosts.find(target);
  if (there == nullptr || own == turn.state().hosts.end() || own->second.judged_down) {
    // It can only be there; what becomes of it is judged like all else on that host. Silence alone
    // is not enough: while an operator is asked about the site, it may be on neither.
    turn.Count("moves", "lost");
    v1::Desktop moved = desktop;
    moved.set_host(target);
    EndMove(turn, std::move(moved));
    LoseNow(turn, desktop.id());
    return;
  }
  const bool told = Heard(turn, target) != nullptr && there->last_heard > move.gone_since;
  if (told && turn.now() - move.gone_since >= kArrivalGrace) {
    FailMove(turn, desktop, why);
  }
}

// The source has it, and is not at it.
void JudgeIdle(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport& report,
               MoveSoft& move) {
  if (desktop.state() == v1::DESKTOP_STATE_LOST) {
    return FailMove(turn, desktop, "its host was away meanwhile");
  }
  if (desktop.state() == v1::DESKTOP_STATE_OFF) {
    return FailMove(turn, desktop, "nobody uses it any more");
  }
  if (SentLately(turn, desktop, v1::COMMAND_MIGRATE)) return;
  const bool failed = report.failed_verb() == v1::COMMAND_MIGRATE && !report.error().empty();
  if (failed && (move.seen || report.error() != move.old_error)) {
    return FailMove(turn, desktop, report.error());
  }
  const HostSoft* target = Heard(turn, desktop.moving_to());
  const bool overdue = turn.now() - move.evidence >= turn.settings().balance.begin_deadline;
  // Whatever was sent is answered or lost by the time that this is given up.
  if (!overdue && target != nullptr && !target->report->migration_uri().empty()) {
    SendMigrate(turn, desktop, target->report->migration_uri());
  } else if (turn.now() - move.evidence >=
             turn.settings().balance.begin_deadline + 3 * turn.settings().heartbeat) {
    FailMove(turn, desktop,
             failed              ? report.error()
             : target == nullptr ? absl::StrCat(desktop.moving_to(), " does not answer")
                                 : absl::StrCat(desktop.host(), " did not begin it within ",
                                                RoughTime(turn.settings().balance.begin_deadline)));
  }
}

// While it moves, either host's agent may be the one that has to stop it: the longer time counts.
// False: the target's is not known.
bool StampBoth(const Turn& turn, v1::Desktop& desktop) {
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  if (pool == nullptr || !IsFenced(pool->pool())) return true;
  v1::Desktop there = desktop;
  there.set_host(desktop.moving_to());
  StampFenceAfter(turn, there);
  if (there.fence_after_ms() == 0) return false;
  if (desktop.fence_after_ms() == 0) return true;
  desktop.set_fence_after_ms(std::max(desktop.fence_after_ms(), there.fence_after_ms()));
  return true;
}

bool HasRoom(const Turn& turn, const std::string& name, uint64_t memory_mib) {
  const v1::Host* host = HostOf(turn, name);
  const HostSoft* soft = turn.fleet().host_soft.Find(name);
  const auto own = turn.state().hosts.find(name);
  if (host == nullptr || soft == nullptr || own == turn.state().hosts.end()) return false;
  const size_t desktops = own->second.desktops.size() + own->second.incoming.size();
  return own->second.memory_committed_mib + memory_mib <=
             HostMemoryLimitMib(*host, soft->report->load()) &&
         (host->max_desktops() == 0 || desktops < host->max_desktops());
}

bool Overcommitted(const Turn& turn, const std::string& name) {
  const v1::Host* host = HostOf(turn, name);
  const HostSoft* soft = turn.fleet().host_soft.Find(name);
  const auto own = turn.state().hosts.find(name);
  if (host == nullptr || soft == nullptr || own == turn.state().hosts.end()) return false;
  return own->second.memory_committed_mib > HostMemoryLimitMib(*host, soft->report->load());
}

}  // namespace

bool MoveAllowed(const Turn& turn, const std::string& from, const std::string& to) {
  const MoveLimits& limits = turn.settings().balance.limits;
  const v1::Host* source = HostOf(turn, from);
  if (source == nullptr || turn.state().moving.size() >= limits.all) return false;
  uint32_t in_site = 0;
  uint32_t at_source = 0;
  uint32_t at_target = 0;
  for (const std::string& id : turn.state().moving) {
    const v1::Desktop& other = *turn.fleet().desktops.Find(id);
    const v1::Host* host = HostOf(turn, other.host());
    in_site += host != nullptr && host->site() == source->site() ? 1 : 0;
    at_source += other.host() == from || other.moving_to() == from ? 1 : 0;
    at_target += other.host() == to || other.moving_to() == to ? 1 : 0;
  }
  return in_site < limits.per_site && at_source < limits.per_host && at_target < limits.per_host;
}

bool BeginMove(Turn& turn, const std::string& id, const std::string& to, const std::string& why,
               const std::string& actor) {
  const auto before = turn.fleet().desktops.FindShared(id);
  if (before == nullptr || IsMoving(*before) || before->host() == to) return false;
  const v1::Host* source = HostOf(turn, before->host());
  const v1::Host* target = HostOf(turn, to);
  const HostSoft* there = Heard(turn, to);
  if (source == nullptr || target == nullptr || source->site() != target->site()) return false;
  if (Heard(turn, before->host()) == nullptr || there == nullptr || there->link == 0 ||
      there->report->migration_uri().empty()) {
    return false;
  }
  if (!MoveAllowed(turn, before->host(), to) || !HasRoom(turn, to, before->memory_mib())) {
    return false;
  }
  v1::Desktop desktop = *before;
  desktop.set_moving_to(to);
  if (!StampBoth(turn, desktop)) return false;
  MoveSoft& move = turn.state().balance.moves[id];
  move = MoveSoft();
  move.since = move.evidence = turn.now();
  const v1::DesktopReport* report = ReportOf(turn, desktop);
  if (report != nullptr && report->failed_verb() == v1::COMMAND_MIGRATE) {
    move.old_error = report->error();
  }
  turn.Count("moves", "begun");
  turn.Audit(actor, "move", absl::StrCat("desktop:", id), "ok", WayOf(desktop), {{"why", why}});
  NoteMove(turn, id, "being moved", absl::StrCat("from ", WayOf(desktop), ": ", why));
  SendMigrate(turn, desktop, there->report->migration_uri());
  turn.Put(std::move(desktop));
  return true;
}

bool ResumeElsewhere(Turn& turn, const v1::Desktop& desktop) {
  const bool drained = WorkAllowed(turn.fleet(), desktop.host()) == v1::SCHEDULABILITY_DRAINING;
  if (!drained && !Overcommitted(turn, desktop.host())) return false;
  std::string why;
  const std::string to = MoveTargetOf(turn, desktop, why);
  if (to.empty()) {
    NoteMove(turn, desktop.id(), "not moved", absl::StrCat("resumes where it is: ", why));
    return false;
  }
  return BeginMove(turn, desktop.id(), to,
                   absl::StrCat("its person is back, and ", desktop.host(),
                                drained ? " is being drained" : " is given more than it can hold"),
                   "broker");
}

void JudgeSource(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport* report) {
  MoveSoft& move = SoftOf(turn, desktop);
  if (report == nullptr || report->generation() < desktop.generation()) {
    return JudgeGone(turn, desktop, move, "neither host has it any more");
  }
  if (report->generation() > desktop.generation()) {
    return FailMove(turn, desktop, "its host has a newer generation");
  }
  if (report->power() == v1::POWER_OFF && report->operation() == v1::COMMAND_UNSPECIFIED) {
    return JudgeGone(turn, desktop, move, "it was powered off");
  }
  move.gone_since = absl::InfiniteFuture();
  if (report->operation() == v1::COMMAND_MIGRATE) {
    move.seen = true;
    move.evidence = turn.now();
  } else if (report->operation() == v1::COMMAND_UNSPECIFIED) {
    JudgeIdle(turn, desktop, *report, move);
  }
}

bool JudgeElsewhere(Turn& turn, const std::string& host, const v1::DesktopReport& report) {
  const auto desktop = turn.fleet().desktops.FindShared(report.desktop());
  if (desktop == nullptr || report.generation() != desktop->generation() ||
      desktop->state() == v1::DESKTOP_STATE_STOPPING) {
    return false;
  }
  const bool awaited = desktop->moving_to() == host;
  const v1::Resource* pool = turn.fleet().pools.Find(desktop->pool());
  const bool movable = pool != nullptr && !pool->pool().storage().empty();
  if (!awaited && !movable) return false;
  const HostSoft* source = Heard(turn, desktop->host());
  const v1::DesktopReport* held = HeldBy(source, *desktop);
  const bool settled = report.operation() == v1::COMMAND_UNSPECIFIED;
  if (source == nullptr) {
    // While its own host is silent only a desktop that runs has surely been handed over.
    if (awaited && settled && report.power() == v1::POWER_RUNNING) {
      Arrive(turn, *desktop, host);
    }
    // A fence does not know of this host: what is kept must not run there.
    return awaited || !IsKept(*desktop);
  }
  if (held == nullptr) {
    if (awaited) {
      Arrive(turn, *desktop, host);
      return true;
    }
    if (IsMoving(*desktop)) return true;
    if (!IsAlive(*desktop, report)) return false;
    Arrive(turn, *desktop, host);
    return true;
  }
  if (awaited) return true;
  if (!IsMoving(*desktop) && held->operation() == v1::COMMAND_MIGRATE &&
      held->moving_to() == host) {
    // An order that came late: what is under way is followed.
    v1::Desktop moving = *desktop;
    moving.set_moving_to(host);
    if (!StampBoth(turn, moving)) moving.set_fence_after_ms(0);
    turn.Put(std::move(moving));
    return true;
  }
  // Both have it. The own host's word counts, once it is newer than the other's.
  const auto [at, fresh] =
      turn.state().balance.strays.try_emplace({host, report.desktop()}, turn.now());
  if (fresh || source->last_heard < at->second + turn.settings().heartbeat) return true;
  turn.state().balance.strays.erase(at);
  return false;
}

bool FoundElsewhere(Turn& turn, const v1::Desktop& desktop) {
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  if (pool == nullptr || pool->pool().storage().empty()) return false;
  for (const auto& entry : turn.fleet().hosts) {
    if (entry.key == desktop.host()) continue;
    const v1::DesktopReport* there = HeldBy(Heard(turn, entry.key), desktop);
    if (there == nullptr || !IsAlive(desktop, *there)) continue;
    Arrive(turn, desktop, entry.key);
    return true;
  }
  return false;
}

bool ArrivedMeanwhile(Turn& turn, const v1::Desktop& desktop) {
  if (!IsMoving(desktop)) return false;
  const std::string& target = desktop.moving_to();
  const v1::DesktopReport* there = HeldBy(Heard(turn, target), desktop);
  if (there == nullptr || there->power() != v1::POWER_RUNNING ||
      there->operation() != v1::COMMAND_UNSPECIFIED) {
    return false;
  }
  Arrive(turn, desktop, target);
  return true;
}

void NoteMove(Turn& turn, const std::string& desktop, absl::string_view decision,
              const std::string& step) {
  const v1::Explanation* before = turn.fleet().move_notes.Find(desktop);
  auto note = before == nullptr ? std::make_shared<v1::Explanation>()
                                : std::make_shared<v1::Explanation>(*before);
  auto& steps = *note->mutable_steps();
  if (!steps.empty() && *steps.rbegin() == step) return;
  *steps.Add() = step;
  if (steps.size() > kStepsKept) steps.DeleteSubrange(0, steps.size() - kStepsKept);
  note->set_decision(std::string(decision));
  note->set_decided_at_unix_ms(turn.now_ms());
  turn.state().fleet.move_notes.Put(desktop, std::move(note));
}

}  // namespace werkplek
