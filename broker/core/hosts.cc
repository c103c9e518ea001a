#include "broker/core/hosts.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/commands.h"
#include "broker/core/dedicated.h"
#include "broker/core/desktops.h"
#include "broker/core/fences.h"
#include "broker/core/moves.h"
#include "broker/core/sessions.h"
#include "broker/core/sites.h"
#include "broker/model/kept.h"
#include "broker/model/pool_sites.h"
#include "broker/reconcile/difference.h"
#include "broker/reconcile/liveness.h"
#include "common/base/words.h"

namespace werkplek {
namespace {

// No honest agent ever gets there; it keeps the next generation from wrapping.
constexpr uint64_t kMaxGeneration = uint64_t{1} << 62;

std::shared_ptr<const v1::AgentReport> Sorted(std::shared_ptr<const v1::AgentReport> report) {
  const auto less = [](const v1::DesktopReport& a, const v1::DesktopReport& b) {
    return a.desktop() < b.desktop();
  };
  if (std::is_sorted(report->desktops().begin(), report->desktops().end(), less)) return report;
  auto sorted = std::make_shared<v1::AgentReport>(*report);
  std::sort(sorted->mutable_desktops()->begin(), sorted->mutable_desktops()->end(), less);
  return sorted;
}

bool SameImages(const v1::AgentReport& a, const v1::AgentReport& b) {
  return std::equal(a.images().begin(), a.images().end(), b.images().begin(), b.images().end(),
                    [](const v1::ImageReport& x, const v1::ImageReport& y) {
                      return x.image() == y.image() && x.sha256() == y.sha256() &&
                             x.verified() == y.verified() && x.error() == y.error();
                    });
}

// What placement asks of a host, beside its images and its load.
bool SamePlace(const v1::AgentReport& a, const v1::AgentReport& b) {
  return a.lock_manager() == b.lock_manager() && a.fence_after_ms() == b.fence_after_ms() &&
         std::equal(a.storages().begin(), a.storages().end(), b.storages().begin(),
                    b.storages().end()) &&
         std::equal(a.networks().begin(), a.networks().end(), b.networks().begin(),
                    b.networks().end());
}

void Release(Turn& turn, v1::Desktop desktop, const std::string& why) {
  if (!desktop.session().empty()) LoseSession(turn, desktop.session(), why);
  ReleaseDesktop(turn, std::move(desktop));
}

bool IsDedicated(const Turn& turn, const v1::Desktop& desktop) {
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  return pool != nullptr && pool->pool().kind() == v1::POOL_KIND_DEDICATED;
}

void RestartSpare(Turn& turn, v1::Desktop desktop) {
  // A START makes no disk in a dedicated pool, and proves nothing.
  if (IsDedicated(turn, desktop) || !StartFits(turn, desktop)) {
    return SpoilDesktop(turn, std::move(desktop), "is off");
  }
  if (!turn.Move(DesktopEvent::kStart, desktop)) return;
  desktop.set_wanted_power(v1::POWER_RUNNING);
  Send(turn, desktop, v1::COMMAND_START);
  turn.Put(std::move(desktop));
}

// The reset that an administrator asked for was done by then, and what its owner made since must
// stay: what is there is judged by the next report, as after a silence.
void CallOffReset(Turn& turn, v1::Desktop desktop) {
  if (!turn.Move(DesktopEvent::kHostLost, desktop)) return;
  desktop.set_last_error(
      "its host has a newer generation than was known, so its reset was called off; if it is still "
      "to be fresh, reset it again");
  turn.Put(std::move(desktop));
}

// The host has a newer generation than the broker: its store went back in time. Nothing that is
// there can be trusted; the next reset goes beyond it.
void CatchUp(Turn& turn, v1::Desktop desktop, uint64_t generation) {
  if (generation >= kMaxGeneration) return;
  turn.Note(Severity::kError, "generation-ahead",
            {{"desktop", desktop.id()},
             {"host", desktop.host()},
             {"known", absl::StrCat(desktop.generation())},
             {"reported", absl::StrCat(generation)}});
  desktop.set_generation(generation);
  switch (desktop.state()) {
    case v1::DESKTOP_STATE_ASSIGNED:
      return Release(turn, std::move(desktop), "the desktop is not the one it was");
    case v1::DESKTOP_STATE_STOPPING:
      Send(turn, desktop, v1::COMMAND_REMOVE);
      return turn.Put(std::move(desktop));
    case v1::DESKTOP_STATE_DIRTY:
    case v1::DESKTOP_STATE_RESETTING:
      if (IsKept(desktop)) return CallOffReset(turn, std::move(desktop));
      if (desktop.state() == v1::DESKTOP_STATE_DIRTY) return turn.Put(std::move(desktop));
      return SpoilDesktop(turn, std::move(desktop), "the host has a newer generation");
    case v1::DESKTOP_STATE_ERROR:
    case v1::DESKTOP_STATE_OFF:
      return turn.Put(std::move(desktop));
    case v1::DESKTOP_STATE_LOST:
      if (IsKept(desktop)) return turn.Put(std::move(desktop));
      [[fallthrough]];
    default:
      return SpoilDesktop(turn, std::move(desktop), "the host has a newer generation");
  }
}

void Remove(Turn& turn, v1::Desktop desktop) {
  if (!turn.Move(DesktopEvent::kGone, desktop)) return;
  turn.EraseDesktop(desktop.id());
}

// True: the desktop is as its state says, so its session can be looked at.
bool ActOn(Turn& turn, const v1::Desktop& desktop, const v1::DesktopReport* report,
           const Difference& difference) {
  switch (difference.finding) {
    case Finding::kNothing:
      return true;
    case Finding::kCommand:
      if (!SentLately(turn, desktop, difference.verb)) Send(turn, desktop, difference.verb);
      return true;
    case Finding::kProved:
      ProveDesktop(turn, desktop, report->proof());
      return false;
    case Finding::kRuns:
      KeptRuns(turn, desktop);
      return false;
    case Finding::kStartFailed:
      FailDesktop(turn, desktop, difference.why);
      return false;
    case Finding::kInUse:
      SpoilDesktop(turn, desktop, "its host says that somebody has used it");
      return false;
    case Finding::kSomebodys:
      ForgetDesktop(turn, desktop, *report);
      return false;
    case Finding::kSpareOff:
      RestartSpare(turn, desktop);
      return false;
    case Finding::kSpareGone:
      SpoilDesktop(turn, desktop, "is gone from its host");
      return false;
    case Finding::kSessionOff:
      Release(turn, desktop, "the desktop was powered off");
      return false;
    case Finding::kSessionGone:
      Release(turn, desktop, "the desktop is gone from its host");
      return false;
    case Finding::kRemoved:
      Remove(turn, desktop);
      return false;
    case Finding::kReturned:
      if (IsKept(desktop)) {
        ReturnKept(turn, desktop, report);
      } else {
        SpoilDesktop(turn, desktop, "its host came back");
      }
      return false;
    case Finding::kAhead:
      CatchUp(turn, desktop, report->generation());
      return false;
  }
  return false;
}

void ReconcileDesktop(Turn& turn, const std::string& id, const v1::DesktopReport* report) {
  const auto desktop = turn.fleet().desktops.FindShared(id);
  if (desktop == nullptr) return;
  if (IsMoving(*desktop)) return JudgeSource(turn, *desktop, report);
  if (report == nullptr && FoundElsewhere(turn, *desktop)) return;
  const v1::Resource* image = turn.fleet().images.Find(desktop->image());
  const Difference difference =
      Compare(*desktop, report, image == nullptr ? nullptr : &image->image(),
              IsDedicated(turn, *desktop) ? v1::POOL_KIND_DEDICATED : v1::POOL_KIND_FLOATING);
  if (!ActOn(turn, *desktop, report, difference)) return;
  if (report == nullptr || report->generation() != desktop->generation()) return;
  if (desktop->state() == v1::DESKTOP_STATE_ASSIGNED) {
    ReconcileSession(turn, *desktop, *report);
  } else if (desktop->state() == v1::DESKTOP_STATE_DIRTY || IsKept(*desktop)) {
    // It waits for its reset, or its owner is not there.
    if (!report->session().empty() && !SentLately(turn, *desktop, v1::COMMAND_END_SESSION)) {
      SendEnd(turn, *desktop, report->session());
    } else if (report->viewer() == v1::VIEWER_CONNECTED &&
               !SentLately(turn, *desktop, v1::COMMAND_CLOSE_DISPLAY)) {
      Send(turn, *desktop, v1::COMMAND_CLOSE_DISPLAY);
    }
  }
}

void ReconcileHost(Turn& turn, const std::string& host, const v1::AgentReport& report) {
  const HostSoft& soft = *turn.fleet().host_soft.Find(host);
  const std::shared_ptr<const v1::AgentReport> kept = soft.report;
  const std::set<std::string>& known = turn.state().hosts[host].desktops;
  const std::vector<std::string> ids(known.begin(), known.end());
  auto at = report.desktops().begin();
  for (const std::string& id : ids) {
    while (at != report.desktops().end() && at->desktop() < id) ++at;
    const bool there = at != report.desktops().end() && at->desktop() == id;
    ReconcileDesktop(turn, id, there ? &*at : nullptr);
  }
  for (const v1::DesktopReport& desktop : report.desktops()) {
    if (std::binary_search(ids.begin(), ids.end(), desktop.desktop())) continue;
    if (desktop.operation() == v1::COMMAND_REMOVE) continue;
    // A desktop that this very turn placed here is known by now.
    const v1::Desktop* record = turn.fleet().desktops.Find(desktop.desktop());
    if (record != nullptr && record->host() == host) continue;
    if (JudgeElsewhere(turn, host, desktop)) continue;
    StopStranger(turn, host, desktop);
  }
}

// False: the report is not to be heard.
bool Accepts(Turn& turn, const AgentReported& event, const HostSoft& soft) {
  const v1::AgentReport& report = *event.report;
  if (soft.link != event.link || report.host() != event.host) {
    turn.Count("stale_reports", "link");
    return false;
  }
  if (report.seen_epoch() > turn.state().epoch) {
    turn.Count("stale_reports", "epoch");
    turn.Note(Severity::kError, "newer-leader",
              {{"host", event.host},
               {"seen_epoch", absl::StrCat(report.seen_epoch())},
               {"epoch", absl::StrCat(turn.state().epoch)}});
    return false;
  }
  const bool same_run =
      !report.agent_run().empty() && report.agent_run() == soft.report->agent_run();
  if (same_run && report.sequence() <= soft.report->sequence()) {
    turn.Count("stale_reports", "sequence");
    return false;
  }
  return true;
}

void SetLiveness(Turn& turn, const std::string& host, v1::Liveness liveness) {
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  if (soft == nullptr || soft->liveness == liveness) return;
  HostSoft next = *soft;
  next.liveness = liveness;
  turn.state().fleet.host_soft.Put(host, std::make_shared<const HostSoft>(std::move(next)));
  turn.Note(liveness == v1::LIVENESS_UP ? Severity::kInfo : Severity::kWarning, "host-liveness",
            {{"host", host},
             {"liveness", liveness == v1::LIVENESS_UP     ? "up"
                          : liveness == v1::LIVENESS_DOWN ? "down"
                                                          : "suspect"}});
  RefreshHost(turn, host);
  if (liveness == v1::LIVENESS_UP) HostAnswers(turn, host);
}

// Whether the agent is to be told that it is heard: each second report is soon enough, unless its
// fence is so short that each one counts. A thousand hosts would else be answered a thousand times
// a second.
bool IsHeardDue(const Turn& turn, absl::Time told) {
  const absl::Duration heartbeat = turn.settings().heartbeat;
  const absl::Duration at_most = std::min(2 * heartbeat, turn.settings().fence_after / 5);
  // Reports do not come to the millisecond.
  return turn.now() - told >= at_most - heartbeat / 2;
}

void Heard(Turn& turn, const std::string& host, uint64_t sequence) {
  absl::Time& told = turn.state().hosts[host].told_heard;
  if (!IsHeardDue(turn, told)) return;
  told = turn.now();
  turn.Emit(SendCommand{host, HeardCommand(turn.settings(), turn.state().epoch, sequence)});
}

}  // namespace

void RefreshHost(Turn& turn, const std::string& host) {
  const v1::Resource* record = turn.fleet().hosts.Find(host);
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  const bool open = record != nullptr && soft != nullptr &&
                    WorkAllowed(turn.fleet(), host) == v1::SCHEDULABILITY_OPEN &&
                    soft->liveness == v1::LIVENESS_UP && soft->link != 0;
  auto& closed = turn.state().closed_hosts;
  const bool changed = open ? closed.erase(host) != 0 : closed.insert(host).second;
  if (changed) ++turn.state().capacity_version;
}

void HandleAttached(Turn& turn, const AgentAttached& event) {
  const HostSoft* before = turn.fleet().host_soft.Find(event.host);
  if (before == nullptr) {
    turn.Note(Severity::kWarning, "unknown-host", {{"host", event.host}});
    return;
  }
  HostSoft soft = *before;
  soft.link = event.link;
  turn.state().hosts[event.host].told_heard = absl::InfinitePast();
  turn.state().fleet.host_soft.Put(event.host, std::make_shared<const HostSoft>(std::move(soft)));
  turn.Note(Severity::kInfo, "agent-attached", {{"host", event.host}});
  RefreshHost(turn, event.host);
}

void HandleDetached(Turn& turn, const AgentDetached& event) {
  const HostSoft* before = turn.fleet().host_soft.Find(event.host);
  if (before == nullptr || before->link != event.link) return;
  HostSoft soft = *before;
  soft.link = 0;
  turn.state().fleet.host_soft.Put(event.host, std::make_shared<const HostSoft>(std::move(soft)));
  turn.Note(Severity::kWarning, "agent-detached", {{"host", event.host}});
  RefreshHost(turn, event.host);
}

void HandleReported(Turn& turn, const AgentReported& event) {
  const HostSoft* known = turn.fleet().host_soft.Find(event.host);
  // The host was declared after its stream began.
  if (known != nullptr && known->link == 0) HandleAttached(turn, {event.host, event.link});
  const auto before = turn.fleet().host_soft.FindShared(event.host);
  if (before == nullptr || event.report == nullptr || !Accepts(turn, event, *before)) return;
  HostSoft soft = *before;
  soft.report = Sorted(event.report);
  soft.last_heard = turn.now();
  soft.counted_from = turn.now();
  soft.switched_off = absl::InfinitePast();
  soft.fence_error.clear();
  const bool more_room =
      !SameImages(*before->report, *soft.report) || !SamePlace(*before->report, *soft.report) ||
      before->report->load().memory_total_mib() != soft.report->load().memory_total_mib();
  if (more_room) ++turn.state().capacity_version;
  const std::shared_ptr<const v1::AgentReport> report = soft.report;
  turn.state().fleet.host_soft.Put(event.host, std::make_shared<const HostSoft>(std::move(soft)));
  SetLiveness(turn, event.host, v1::LIVENESS_UP);
  NoteFenceAfter(turn, event.host, *before->report, *report);
  if (report->adopted()) {
    ReconcileHost(turn, event.host, *report);
    CheckImages(turn, event.host, *report);
  }
  Heard(turn, event.host, report->sequence());
}

void JudgeHost(Turn& turn, const std::string& host) {
  const HostSoft* soft = turn.fleet().host_soft.Find(host);
  if (soft == nullptr) return;
  const bool heard = soft->last_heard != absl::InfinitePast();
  SetLiveness(turn, host,
              LivenessOf(turn.now() - soft->counted_from, heard, turn.settings().suspect_after,
                         turn.settings().down_after));
}

void DesktopTimerFired(Turn& turn, const std::string& id) {
  const auto desktop = turn.fleet().desktops.FindShared(id);
  if (desktop == nullptr) return;
  const absl::Time due = DesktopDue(turn.state(), *desktop);
  if (due > turn.now()) {
    turn.state().timers.Arm(DesktopTimer(id), due);
    return;
  }
  const HostSoft* host = turn.fleet().host_soft.Find(desktop->host());
  if (host != nullptr && host->liveness == v1::LIVENESS_DOWN) {
    // What became of it shows when the host is back or lost; it says nothing of the pool.
    turn.state().timers.Arm(DesktopTimer(id),
                            turn.now() + StartDeadline(turn.state(), desktop->pool()));
    return;
  }
  const v1::DesktopReport* report = ReportOf(turn, *desktop);
  std::string seen = "its host did not report it";
  if (report != nullptr && report->generation() != desktop->generation()) {
    seen = absl::StrCat("the host still has generation ", report->generation());
  } else if (report != nullptr && report->power() != v1::POWER_RUNNING) {
    seen = "it does not run";
  } else if (report != nullptr && report->guest() == v1::GUEST_STATE_UNKNOWN) {
    seen = "it runs, its guest agent does not answer";
  } else if (report != nullptr && IsKept(*desktop)) {
    seen = "it runs now";
  } else if (report != nullptr) {
    seen = "it runs, its proof of cleanness did not come";
  }
  FailDesktop(turn, *desktop,
              absl::StrCat("not ready within ",
                           RoughTime(StartDeadline(turn.state(), desktop->pool())), ": ", seen));
}

void CheckImages(Turn& turn, const std::string& host, const v1::AgentReport& report) {
  HostState& own = turn.state().hosts[host];
  const v1::Resource* record = turn.fleet().hosts.Find(host);
  if (record == nullptr || turn.now() - own.images_checked < absl::Seconds(10)) return;
  own.images_checked = turn.now();
  std::set<std::string> wanted;
  for (const auto& entry : turn.fleet().pools) {
    if (MayStandIn(entry.record->pool(), record->host().site())) {
      wanted.insert(entry.record->pool().image());
    }
  }
  const auto send = [&](v1::CommandVerb verb, const std::string& name, const v1::Image& image) {
    v1::AgentCommand command;
    command.set_epoch(turn.state().epoch);
    command.set_verb(verb);
    command.set_image_name(name);
    *command.mutable_image() = image;
    turn.Emit(SendCommand{host, std::move(command)});
  };
  for (const v1::ImageReport& there : report.images()) {
    const v1::Resource* image = turn.fleet().images.Find(there.image());
    if (image == nullptr) {
      // Which file it is, the digest tells.
      v1::Image gone;
      gone.set_sha256(there.sha256());
      send(v1::COMMAND_DROP_IMAGE, there.image(), gone);
    } else if (there.verified() && there.sha256() == image->image().sha256()) {
      wanted.erase(there.image());
    }
  }
  for (const std::string& name : wanted) {
    const v1::Resource* image = turn.fleet().images.Find(name);
    if (image != nullptr) send(v1::COMMAND_FETCH_IMAGE, name, image->image());
  }
}

}  // namespace werkplek
