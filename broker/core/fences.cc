#include "broker/core/fences.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/core/sites.h"
#include "broker/core/views.h"
#include "broker/model/kept.h"

namespace werkplek {
namespace {

// Whoever overrides a fence has shown password and code so lately.
constexpr absl::Duration kOverrideWithin = absl::Minutes(5);

// A wrong override destroys a disk, so a screen that somebody left open must not be enough for it.
absl::Status CheckFreshSignIn(const Turn& turn, const Caller& caller) {
  const auto sign_in = SignInOf(turn.fleet(), caller);
  if (sign_in != nullptr &&
      turn.now() < absl::FromUnixMillis(sign_in->created_unix_ms()) + kOverrideWithin) {
    return absl::OkStatus();
  }
  return absl::UnauthenticatedError(absl::StrCat("a fence is overridden only within ",
                                                 absl::FormatDuration(kOverrideWithin),
                                                 " of signing in; sign in again"));
}

FenceHostFacts FactsOf(const Fleet& fleet, const std::string& host, const v1::Desktop& desktop,
                       uint64_t epoch) {
  FenceHostFacts facts;
  facts.host = host;
  facts.fence_after_ms = desktop.fence_after_ms();
  const HostSoft* soft = fleet.host_soft.Find(host);
  if (soft == nullptr) return facts;
  const v1::AgentReport& report = *soft->report;
  facts.answers = soft->liveness == v1::LIVENESS_UP && report.adopted() &&
                  (epoch == 0 || report.seen_epoch() == epoch);
  facts.report = soft->FindDesktop(desktop.id());
  facts.last_heard = soft->last_heard;
  facts.switched_off = soft->switched_off;
  facts.fence_after_ms = std::max(facts.fence_after_ms, report.fence_after_ms());
  return facts;
}

bool InSharedStorage(const Fleet& fleet, const v1::Desktop& desktop) {
  const v1::Resource* pool = fleet.pools.Find(desktop.pool());
  return pool != nullptr && !pool->pool().storage().empty();
}

absl::Time LastStart(const BrokerState& state, const v1::Desktop& desktop) {
  absl::Time last = state.sent_before;
  for (const auto verb : {v1::COMMAND_START, v1::COMMAND_RESET}) {
    const auto at = state.sent.find({desktop.id(), verb});
    if (at != state.sent.end() && at->second.generation == desktop.generation()) {
      last = std::max(last, at->second.at);
    }
  }
  return last;
}

std::string Object(const v1::Desktop& desktop) { return absl::StrCat("desktop:", desktop.id()); }

// No copy runs: from here on it may start anywhere.
void CommitFence(Turn& turn, v1::Desktop desktop, const std::string& by) {
  const bool lost = desktop.state() == v1::DESKTOP_STATE_LOST;
  if (lost && !turn.Move(DesktopEvent::kFenced, desktop)) return;
  desktop.set_fenced_generation(desktop.generation());
  desktop.set_fenced_by(by);
  desktop.set_wanted_power(v1::POWER_OFF);
  desktop.clear_moving_to();
  if (lost) {
    turn.Count("fences", by.substr(0, by.find(':')));
    turn.Audit(
        "broker", "fence", Object(desktop), "ok", "",
        {{"by", by}, {"host", desktop.host()}, {"generation", absl::StrCat(desktop.generation())}});
  }
  turn.Put(std::move(desktop));
}

// The host is down, and with it something that another host could run.
void AskFenceCommand(Turn& turn, const std::string& host) {
  if (!turn.settings().fence_command) return;
  const auto own = turn.state().hosts.find(host);
  if (own == turn.state().hosts.end() || !own->second.judged_down || own->second.fence_asked ||
      turn.now() < own->second.fence_again_at) {
    return;
  }
  own->second.fence_asked = true;
  turn.Audit("broker", "fence-command", absl::StrCat("host:", host), "asked", "");
  turn.Emit(FenceHost{host, turn.now()});
}

}  // namespace

FenceVerdict FenceOf(const Fleet& fleet, const BrokerSettings& settings, const v1::Desktop& desktop,
                     absl::Time last_start, uint64_t epoch, absl::Time now) {
  std::vector<FenceHostFacts> hosts = {FactsOf(fleet, desktop.host(), desktop, epoch)};
  hosts.front().last_start = last_start;
  if (!desktop.moving_to().empty() && desktop.moving_to() != desktop.host()) {
    hosts.push_back(FactsOf(fleet, desktop.moving_to(), desktop, epoch));
  }
  const FenceTimes times{settings.lease_ttl, settings.fence_after, settings.fence_margin,
                         fleet.leading_since};
  return JudgeFence(desktop, hosts, times, now);
}

FenceVerdict FenceOf(const Turn& turn, const v1::Desktop& desktop) {
  return FenceOf(turn.fleet(), turn.settings(), desktop, LastStart(turn.state(), desktop),
                 turn.state().epoch, turn.now());
}

std::string FenceText(const Fleet& fleet, const BrokerSettings& settings,
                      const v1::Desktop& desktop, absl::Time now) {
  if (!IsKept(desktop)) return "";
  if (IsFencedOff(desktop)) {
    return absl::StrCat("no copy of generation ", desktop.generation(),
                        " runs, confirmed by: ", desktop.fenced_by());
  }
  const HostSoft* soft = fleet.host_soft.Find(desktop.host());
  const bool lost = desktop.state() == v1::DESKTOP_STATE_LOST;
  if (!lost && (soft == nullptr || soft->liveness == v1::LIVENESS_UP)) return "";
  const FenceVerdict verdict = FenceOf(fleet, settings, desktop, absl::InfinitePast(), 0, now);
  std::string text = absl::StrCat("unknown: ", verdict.reason);
  if (verdict.sure()) text = absl::StrCat("host ", desktop.host(), " cannot run it any more");
  if (soft != nullptr && !soft->fence_error.empty()) {
    absl::StrAppend(&text, "; switching the host off failed: ", soft->fence_error);
  }
  if (!InSharedStorage(fleet, desktop)) {
    absl::StrAppend(&text, "; its disk is on that host alone, so it waits for the host");
  } else if (!verdict.sure() && verdict.sure_at == absl::InfiniteFuture()) {
    absl::StrAppend(&text,
                    "; only the host, or an administrator's word (`desktop "
                    "override-fence`), makes it sure");
  }
  return text;
}

void JudgeFences(Turn& turn, const std::string& pool_name) {
  const auto own = turn.state().pools.find(pool_name);
  if (own == turn.state().pools.end() || own->second.unsure.empty()) return;
  const std::set<std::string> ids = own->second.unsure;
  for (const std::string& id : ids) {
    const auto desktop = turn.fleet().desktops.FindShared(id);
    if (desktop == nullptr) continue;
    const FenceVerdict verdict = FenceOf(turn, *desktop);
    if (verdict.sure()) {
      CommitFence(turn, *desktop, verdict.by);
    } else if (desktop->state() == v1::DESKTOP_STATE_LOST &&
               InSharedStorage(turn.fleet(), *desktop)) {
      AskFenceCommand(turn, desktop->host());
      if (!desktop->moving_to().empty()) AskFenceCommand(turn, desktop->moving_to());
    }
  }
}

bool LossWaitsForFence(Turn& turn, const v1::Desktop& desktop) {
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  if (pool == nullptr || pool->pool().kind() != v1::POOL_KIND_FLOATING || !IsFenced(pool->pool()) ||
      desktop.session().empty()) {
    return false;
  }
  if (FenceOf(turn, desktop).sure()) return false;
  AskFenceCommand(turn, desktop.host());
  return true;
}

void StampFenceAfter(const Turn& turn, v1::Desktop& desktop) {
  const v1::Resource* pool = turn.fleet().pools.Find(desktop.pool());
  if (pool == nullptr || !IsFenced(pool->pool())) return;
  const HostSoft* soft = turn.fleet().host_soft.Find(desktop.host());
  const uint32_t agents = soft == nullptr ? 0 : soft->report->fence_after_ms();
  const auto ours = static_cast<uint32_t>(absl::ToInt64Milliseconds(turn.settings().fence_after));
  // The agent has the one or the other: what this broker tells it may arrive at any time.
  desktop.set_fence_after_ms(agents == 0 ? 0 : std::max(agents, ours));
}

void NoteFenceAfter(Turn& turn, const std::string& host, const v1::AgentReport& before,
                    const v1::AgentReport& report) {
  if (before.fence_after_ms() == report.fence_after_ms()) return;
  const auto own = turn.state().hosts.find(host);
  if (own == turn.state().hosts.end()) return;
  const std::set<std::string> ids = own->second.desktops;
  for (const std::string& id : ids) {
    v1::Desktop desktop = *turn.fleet().desktops.Find(id);
    const uint32_t was = desktop.fence_after_ms();
    if (!desktop.moving_to().empty()) continue;
    StampFenceAfter(turn, desktop);
    if (desktop.fence_after_ms() != was) turn.Put(std::move(desktop));
  }
}

void HandleHostFenced(Turn& turn, const HostFenced& event) {
  const auto own = turn.state().hosts.find(event.host);
  const HostSoft* before = turn.fleet().host_soft.Find(event.host);
  if (own == turn.state().hosts.end() || before == nullptr) return;
  HostState& host = own->second;
  host.fence_asked = false;
  HostSoft soft = *before;
  turn.Count("fence_commands", event.status.ok() ? "ok" : "failed");
  const std::string why(event.status.message());
  turn.Audit("broker", "fence-command", absl::StrCat("host:", event.host),
             event.status.ok() ? "ok" : "failed", "",
             event.status.ok() ? LogFields() : LogFields{{"why", why}});
  if (event.status.ok()) {
    host.fence_failures = 0;
    // Desktops that are lost later wait for it to be asked again, and not at once.
    host.fence_again_at = turn.now() + FenceRetryAfter(0);
    soft.switched_off = event.asked;
    soft.fence_error.clear();
  } else {
    host.fence_again_at = turn.now() + FenceRetryAfter(host.fence_failures++);
    soft.fence_error = why.substr(0, 256);
  }
  turn.state().fleet.host_soft.Put(event.host, std::make_shared<const HostSoft>(std::move(soft)));
  turn.TouchAllPools();
}

CallAnswer OverrideFence(Turn& turn, const CallRequested& event,
                         const v1::OverrideFenceRequest& request, const std::string& actor) {
  if (absl::Status status = CheckReason(request.reason()); !status.ok()) return status;
  if (absl::Status status = CheckFreshSignIn(turn, event.caller); !status.ok()) return status;
  const auto desktop = turn.fleet().desktops.FindShared(request.desktop());
  if (desktop == nullptr) {
    return absl::NotFoundError(absl::StrCat("there is no desktop \"", request.desktop(), "\""));
  }
  if (!IsKept(*desktop) || desktop->state() != v1::DESKTOP_STATE_LOST) {
    return absl::FailedPreconditionError(
        absl::StrCat("desktop \"", desktop->id(), "\" does not wait for a fence: ",
                     IsKept(*desktop) ? "its host is not judged down" : "nobody keeps it"));
  }
  if (desktop->generation() != request.generation()) {
    return absl::FailedPreconditionError(absl::StrCat("generation: ", request.generation(),
                                                      " is not the desktop's, which is ",
                                                      desktop->generation(), "; look at it again"));
  }
  turn.Audit(actor, "fence-override", Object(*desktop), "ok", Origin(event.caller),
             {{"why", request.reason()},
              {"host", desktop->host()},
              {"generation", absl::StrCat(desktop->generation())}});
  CommitFence(turn, *desktop, actor);
  const ViewContext context{turn.fleet(), turn.settings(), turn.now()};
  const auto after = turn.fleet().desktops.FindShared(request.desktop());
  return std::make_shared<const v1::DesktopStatus>(DesktopStatusOf(context, *after));
}

}  // namespace werkplek
