#include "agent/core/agent_core.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"

namespace werkplek {
namespace {

using agent::TicketAnswer;

absl::string_view TicketWord(TicketAnswer answer) {
  switch (answer) {
    case TicketAnswer::kGranted:
      return "granted";
    case TicketAnswer::kNoDesktop:
      return "no-desktop";
    case TicketAnswer::kUnknown:
      return "unknown";
    case TicketAnswer::kUsed:
      return "used";
    case TicketAnswer::kLate:
      return "late";
    case TicketAnswer::kOtherCertificate:
      return "other-certificate";
    case TicketAnswer::kTooManyChannels:
      return "too-many-channels";
    case TicketAnswer::kNotRunning:
      return "not-running";
  }
  return "unknown";
}

constexpr absl::Duration kListRetry = absl::Seconds(1);

std::vector<std::string> NamesOf(const std::vector<HostNetwork>& networks) {
  std::vector<std::string> names;
  names.reserve(networks.size());
  for (const HostNetwork& network : networks) names.push_back(network.name);
  return names;
}

}  // namespace

AgentCore::AgentCore(AgentSettings settings, std::string host, std::string agent_run,
                     std::string boot_id, uint64_t seen_epoch, HeardState heard)
    : settings_(std::move(settings)),
      host_(std::move(host)),
      agent_run_(std::move(agent_run)),
      boot_id_(std::move(boot_id)),
      durable_epoch_(seen_epoch),
      highest_epoch_(seen_epoch),
      heard_(heard),
      storages_(settings_.storages, settings_.at_hand_interval, settings_.at_hand_patience),
      networks_(NamesOf(settings_.networks), settings_.at_hand_interval,
                settings_.networks_patience),
      report_interval_(settings_.report_interval) {}

AgentDecision AgentCore::Apply(const AgentEvent& event, absl::Duration monotonic_now) {
  now_ = monotonic_now;
  effects_.clear();
  // First: whatever has come, it came after the deadline.
  JudgeFence();
  std::visit([this](const auto& what) { On(what); }, event);
  JudgeFence();
  RunAll();
  ListWhenDue();
  ReadStatsWhenDue();
  CheckAtHandWhenDue();
  SaveHeardWhenNeeded();
  SendReportWhenDue();
  AgentDecision decision;
  decision.effects = std::exchange(effects_, {});
  decision.wake_at = WakeAt();
  return decision;
}

void AgentCore::On(const agent::CommandReceived& event) {
  const v1::AgentCommand& command = event.command;
  if (command.epoch() < highest_epoch_) {
    Refuse(command, "old-epoch",
           absl::StrCat("epoch ", command.epoch(), " is below ", highest_epoch_));
    return;
  }
  highest_epoch_ = command.epoch();
  if (command.epoch() == durable_epoch_) {
    Obey(command);
    return;
  }
  if (waiting_for_epoch_.size() >= settings_.max_waiting_commands) {
    Refuse(command, "too-many", "too many commands wait for the epoch to be on disk");
    return;
  }
  waiting_for_epoch_.push_back(command);
  if (persisting_) return;
  persisting_ = true;
  Emit(agent::PersistEpoch{highest_epoch_});
}

void AgentCore::On(const agent::EpochPersisted& event) {
  persisting_ = false;
  if (!event.status.ok()) {
    Note(Severity::kError, "epoch-not-saved",
         {{"epoch", absl::StrCat(event.epoch)}, {"error", event.status.ToString()}});
    for (const v1::AgentCommand& command : waiting_for_epoch_) {
      Refuse(command, "epoch-not-saved", "the epoch could not be written to disk");
    }
    waiting_for_epoch_.clear();
    return;
  }
  durable_epoch_ = std::max(durable_epoch_, event.epoch);
  Changed();
  std::deque<v1::AgentCommand> commands = std::exchange(waiting_for_epoch_, {});
  for (const v1::AgentCommand& command : commands) {
    if (command.epoch() < highest_epoch_) {
      Refuse(command, "old-epoch", "a newer epoch came while it waited");
    } else if (command.epoch() == durable_epoch_) {
      Obey(command);
    } else {
      waiting_for_epoch_.push_back(command);
    }
  }
  if (waiting_for_epoch_.empty()) return;
  persisting_ = true;
  Emit(agent::PersistEpoch{highest_epoch_});
}

void AgentCore::On(const agent::DomainsObserved& event) {
  listing_ = false;
  if (!event.status.ok()) {
    Note(Severity::kWarning, "list-failed", {{"error", event.status.ToString()}});
    list_at_ = now_ + kListRetry;
    return;
  }
  NoteUnread(event.domains);
  // Orders wait until each was read; the fence of those that were does not.
  const bool adopts = !adopted_ && unread_.empty();
  if (!adopted_ && !adopts) list_at_ = now_ + kListRetry;
  std::map<std::string, const DomainInfo*> seen;
  for (const DomainInfo& info : event.domains) {
    if (!info.unread.empty()) continue;
    const auto [at, fresh] = seen.emplace(info.tag.desktop, &info);
    if (!fresh) {
      Note(Severity::kError, "two-domains-of-one-desktop", {{"desktop", info.tag.desktop}});
      // The newer generation is the one that counts.
      if (at->second->tag.generation < info.tag.generation) at->second = &info;
    }
    desktops_.try_emplace(info.tag.desktop);
  }
  for (auto& [id, desktop] : desktops_) {
    // What could not be read is as it was last known.
    if (event.id <= desktop.stale_lists || unread_.count(id) > 0) continue;
    // What a worker is at, its result tells.
    if (desktop.running.has_value() && desktop.running->kind != OperationKind::kReadGuest) continue;
    const auto found = seen.find(id);
    Observe(id, desktop, found == seen.end() ? nullptr : found->second);
  }
  if (adopts) {
    adopted_ = true;
    Changed();
    Note(Severity::kInfo, "adopted", {{"domains", absl::StrCat(event.domains.size())}});
  }
  ForgetGone();
}

void AgentCore::NoteUnread(const std::vector<DomainInfo>& domains) {
  std::set<std::string> unread;
  for (const DomainInfo& info : domains) {
    if (info.unread.empty()) continue;
    const std::string& desktop = info.tag.desktop;
    unread.insert(desktop);
    // Once, not for each list.
    if (unread_.count(desktop) > 0) continue;
    Note(Severity::kError, "domain-unread", {{"desktop", desktop}, {"error", info.unread}});
  }
  unread_ = std::move(unread);
}

void AgentCore::On(const agent::DomainChanged& event) {
  WantList();
  if (event.event.kind != HypervisorEvent::Kind::kGuestAgent) return;
  const auto found = desktops_.find(event.event.desktop);
  if (found != desktops_.end()) found->second.read_guest_at = now_;
}

void AgentCore::On(const agent::TicketPresented& event) {
  TicketAnswer answer = TicketAnswer::kNoDesktop;
  const auto found = desktops_.find(event.desktop);
  if (found != desktops_.end() && found->second.domain.has_value()) {
    Desktop& desktop = found->second;
    const bool runs = desktop.domain->power == DomainPower::kRunning && !IsBeingMade(desktop);
    answer = runs ? desktop.tickets.Present(event.channel, event.ticket_sha256,
                                            event.certificate_sha256, event.viewer, now_)
                  : TicketAnswer::kNotRunning;
  }
  if (answer == TicketAnswer::kGranted) channel_desktop_[event.channel] = event.desktop;
  Changed();
  Count("tickets", TicketWord(answer));
  Note(answer == TicketAnswer::kGranted ? Severity::kInfo : Severity::kWarning, "ticket",
       {{"desktop", event.desktop},
        {"answer", std::string(TicketWord(answer))},
        {"channel", absl::StrCat(event.channel)},
        {"certificate", HexEncode(event.certificate_sha256)}});
  Emit(agent::AnswerTicket{event.channel, answer});
}

void AgentCore::On(const agent::DisplayOpened& event) {
  const auto channel = channel_desktop_.find(event.channel);
  if (channel == channel_desktop_.end()) return;
  Desktop& desktop = desktops_[channel->second];
  desktop.tickets.Opened(event.channel);
  if (desktop.tickets.connected()) desktop.viewer_seen = true;
  Changed();
}

void AgentCore::On(const agent::DisplayClosed& event) {
  const auto channel = channel_desktop_.find(event.channel);
  if (channel == channel_desktop_.end()) return;
  desktops_[channel->second].tickets.Closed(event.channel);
  channel_desktop_.erase(channel);
  Changed();
}

void AgentCore::On(const agent::LinkUp&) {
  link_up_ = true;
  // The broker may know nothing of this host: tell it at once.
  last_report_ = -absl::InfiniteDuration();
  Changed();
}

void AgentCore::On(const agent::LinkDown&) { link_up_ = false; }

void AgentCore::On(const agent::ImagesKnown& event) { KnowImages("", event.images); }

void AgentCore::On(const agent::StatsRead& event) {
  reading_stats_ = false;
  if (event.status.ok()) {
    load_ = event.load;
  } else {
    Note(Severity::kWarning, "stats-failed", {{"error", event.status.ToString()}});
  }
}

void AgentCore::On(const agent::Tick&) {}

void AgentCore::On(const agent::OperationDone& event) {
  const OperationResult& result = event.result;
  const auto image = image_operations_.find(result.id);
  if (image != image_operations_.end()) {
    const Operation operation = std::move(image->second);
    image_operations_.erase(image);
    ImageDone(operation, result);
    return;
  }
  const auto kill = kill_desktop_.find(result.id);
  if (kill != kill_desktop_.end()) {
    const std::string id = kill->second;
    kill_desktop_.erase(kill);
    KillDone(id, result);
    return;
  }
  const auto found = operation_desktop_.find(result.id);
  if (found == operation_desktop_.end()) {
    Count("unknown_operations", "");
    return;
  }
  const std::string id = found->second;
  operation_desktop_.erase(found);
  Desktop& desktop = desktops_[id];
  const Operation operation = *std::exchange(desktop.running, std::nullopt);
  const v1::AgentCommand command = std::exchange(desktop.running_for, {});
  --RunningOf(operation);
  desktop.stale_lists = last_list_;
  Changed();
  if (operation.kind != OperationKind::kReadGuest) {
    // Calls on a desktop follow one another, so an answer tells that those before have ended.
    desktop.unsure = v1::COMMAND_UNSPECIFIED;
    WantList();
  }
  if (!result.status.ok()) {
    Failed(id, desktop, operation, command, result);
    return;
  }
  if (command.verb() != v1::COMMAND_UNSPECIFIED) {
    desktop.failed_verb = v1::COMMAND_UNSPECIFIED;
    desktop.error.clear();
  }
  Succeeded(id, desktop, operation, result);
}

void AgentCore::WantList() {
  list_at_ = std::min(list_at_, std::max(now_, listed_ + settings_.list_gap));
}

void AgentCore::ListWhenDue() {
  if (listing_ || now_ < list_at_) return;
  listing_ = true;
  listed_ = now_;
  list_at_ = now_ + settings_.list_interval;
  Emit(agent::ListDomains{++last_list_});
}

void AgentCore::ReadStatsWhenDue() {
  if (reading_stats_ || now_ < stats_at_) return;
  reading_stats_ = true;
  stats_at_ = now_ + settings_.stats_interval;
  Emit(agent::ReadStats{});
}

void AgentCore::Note(Severity severity, absl::string_view event,
                     std::vector<std::pair<std::string, std::string>> fields) {
  Emit(agent::LogEvent{severity, std::string(event), std::move(fields)});
}

void AgentCore::Count(absl::string_view what, absl::string_view label) {
  Emit(agent::Counted{std::string(what), std::string(label)});
}

}  // namespace werkplek
