// The fence, and what else hangs on being heard: desktops that must not run twice stop here when no
// leader was heard in time.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"

namespace werkplek {
namespace {

constexpr absl::Duration kMostFenceAfter = absl::Hours(1);

bool MakesRun(v1::CommandVerb verb) {
  return verb == v1::COMMAND_START || verb == v1::COMMAND_RESET || verb == v1::COMMAND_RESUME ||
         verb == v1::COMMAND_MIGRATE;
}

bool Runs(DomainPower power) {
  return power == DomainPower::kRunning || power == DomainPower::kSuspended;
}

}  // namespace

void AgentCore::Heard(const v1::AgentCommand& command) {
  if (command.fence_after_ms() == 0) return;
  absl::Duration sent_at = -absl::InfiniteDuration();
  // An older report's HEARD may still come; it finds nothing here any more.
  while (!sent_reports_.empty() && sent_reports_.front().first <= command.heard_sequence()) {
    if (sent_reports_.front().first == command.heard_sequence()) {
      sent_at = sent_reports_.front().second;
    }
    sent_reports_.pop_front();
  }
  if (sent_at < heard_.heard_at || sent_at == -absl::InfiniteDuration()) return;
  const absl::Duration fence_after =
      std::min(absl::Milliseconds(command.fence_after_ms()), kMostFenceAfter);
  if (fence_after != heard_.fence_after) Changed();
  heard_ = {sent_at, fence_after};
  heard_unsaved_ = true;
}

void AgentCore::SaveHeardWhenNeeded() {
  if (!heard_unsaved_ || saving_heard_) return;
  saving_heard_ = true;
  heard_unsaved_ = false;
  Emit(agent::SaveHeard{heard_.heard_at, heard_.fence_after});
}

void AgentCore::On(const agent::HeardSaved& event) {
  saving_heard_ = false;
  if (event.status.ok()) return;
  // The next run would judge by an older time: too early, never too late.
  Note(Severity::kWarning, "heard-not-saved", {{"error", event.status.ToString()}});
}

bool AgentCore::MustBeFenced(const Desktop& desktop) {
  if (desktop.domain.has_value() && desktop.domain->tag.fencing_required) return true;
  if (desktop.running.has_value() && desktop.running_for.spec().fencing_required()) return true;
  return std::any_of(desktop.waiting.begin(), desktop.waiting.end(), [](const Waiting& waiting) {
    return waiting.command.spec().fencing_required();
  });
}

void AgentCore::JudgeFence() {
  if (now_ < FenceDeadline()) return;
  for (auto& [id, desktop] : desktops_) {
    if (desktop.doomed < desktop.generation && MustBeFenced(desktop)) Doom(id, desktop);
  }
}

void AgentCore::Doom(const std::string& id, Desktop& desktop) {
  // What is under way as well: it may be done at any time from now on.
  desktop.doomed = desktop.generation;
  desktop.shutdown.reset();
  CloseDisplays(id, desktop);
  Count("fenced_desktops", "");
  Note(
      Severity::kError, "fenced",
      {{"desktop", id},
       {"generation", absl::StrCat(desktop.doomed)},
       {"reason", absl::StrCat("no leader heard for ", absl::FormatDuration(heard_.fence_after))}});
  for (auto at = desktop.waiting.begin(); at != desktop.waiting.end();) {
    if (!MakesRun(at->command.verb())) {
      ++at;
      continue;
    }
    Fail(desktop, at->command,
         "fenced: no leader was heard in time; only a newer generation starts");
    at = desktop.waiting.erase(at);
  }
}

bool AgentCore::IsDoomed(const Desktop& desktop) {
  return desktop.domain.has_value() && desktop.domain->tag.generation <= desktop.doomed;
}

void AgentCore::FenceDoomed(const std::string& id, Desktop& desktop) {
  if (!IsDoomed(desktop) || desktop.killing || now_ < desktop.fence_at) return;
  if (Runs(desktop.domain->power)) {
    // Beside whatever is under way: that may hang.
    Operation operation = NewOperation(OperationKind::kKill, id);
    operation.uuid = desktop.domain->uuid;
    operation.not_after = absl::InfiniteDuration();
    last_operation_ = operation.id;
    kill_desktop_[operation.id] = id;
    desktop.killing = true;
    Emit(agent::StartOperation{std::move(operation)});
    return;
  }
  if (desktop.domain->tag.fenced || desktop.running.has_value()) return;
  if (!HasRoom(OperationKind::kMarkFenced, false)) return;
  Launch(desktop, NewOperation(OperationKind::kMarkFenced, id), {});
}

void AgentCore::KillDone(const std::string& id, const OperationResult& result) {
  Desktop& desktop = desktops_[id];
  desktop.killing = false;
  desktop.stale_lists = last_list_;
  WantList();
  Changed();
  if (!result.status.ok()) {
    desktop.fence_at = now_ + settings_.fence_retry;
    Count("failed_operations", "FENCE");
    Note(Severity::kError, "kill-failed", {{"desktop", id}, {"error", result.status.ToString()}});
    return;
  }
  if (!IsDoomed(desktop) || !Runs(desktop.domain->power)) return;
  DomainInfo info = *desktop.domain;
  info.power = DomainPower::kOff;
  Observe(id, desktop, &info);
}

std::pair<std::string, std::string> AgentCore::FenceFaultOf(const Desktop* desktop,
                                                            const v1::AgentCommand& command) const {
  if (!MakesRun(command.verb())) return {};
  const DomainTag* tag =
      desktop != nullptr && desktop->domain.has_value() ? &desktop->domain->tag : nullptr;
  uint64_t fenced = desktop == nullptr ? 0 : desktop->doomed;
  if (tag != nullptr && tag->fenced) fenced = std::max(fenced, tag->generation);
  if (command.generation() <= fenced) {
    return {"fenced", absl::StrCat("generation ", fenced, " was fenced; only a newer one starts")};
  }
  const bool required =
      command.spec().fencing_required() || (tag != nullptr && tag->fencing_required);
  if (!required || now_ < FenceDeadline()) return {};
  return {"not-heard", "no leader was heard in time, and the desktop must be fenced"};
}

absl::Duration AgentCore::FenceWakeAt() const {
  absl::Duration wake = std::min(storages_.wake_at(now_), networks_.wake_at(now_));
  for (const auto& [id, desktop] : desktops_) {
    if (FenceDeadline() > now_ && MustBeFenced(desktop)) wake = std::min(wake, FenceDeadline());
    if (IsDoomed(desktop) && desktop.fence_at > now_) wake = std::min(wake, desktop.fence_at);
  }
  return wake;
}

// Apart from each other: a storage that hangs takes no network away.
void AgentCore::CheckAtHandWhenDue() {
  const AtHand::Step storages = storages_.Due(now_);
  const AtHand::Step networks = networks_.Due(now_);
  if (storages == AtHand::Step::kAsk) Emit(agent::CheckStorages{});
  if (networks == AtHand::Step::kAsk) Emit(agent::CheckNetworks{});
  if (storages == AtHand::Step::kGaveUp) Note(Severity::kError, "storages-hang", {});
  if (networks == AtHand::Step::kGaveUp) Note(Severity::kError, "networks-hang", {});
  if (storages == AtHand::Step::kGaveUp || networks == AtHand::Step::kGaveUp) Changed();
}

void AgentCore::On(const agent::StoragesChecked& event) {
  if (storages_.Answered(event.names)) Changed();
}

void AgentCore::On(const agent::NetworksChecked& event) {
  if (networks_.Answered(event.names)) Changed();
}

}  // namespace werkplek
