// The full report, and when it goes.
#include <algorithm>

#include "agent/core/agent_core.h"

namespace werkplek {
namespace {

v1::Power PowerOf(DomainPower power) {
  switch (power) {
    case DomainPower::kOff:
      return v1::POWER_OFF;
    case DomainPower::kRunning:
      return v1::POWER_RUNNING;
    case DomainPower::kSuspended:
    case DomainPower::kSaved:
      return v1::POWER_SUSPENDED;
  }
  return v1::POWER_UNSPECIFIED;
}

bool MakesFresh(v1::CommandVerb verb) {
  return verb == v1::COMMAND_START || verb == v1::COMMAND_RESET;
}

}  // namespace

v1::CommandVerb AgentCore::VerbUnderWay(const Desktop& desktop) {
  if (desktop.running.has_value() && desktop.running_for.verb() != v1::COMMAND_UNSPECIFIED) {
    return desktop.running_for.verb();
  }
  if (desktop.shutdown.has_value()) return v1::COMMAND_STOP;
  if (IsOnItsWay(desktop)) return v1::COMMAND_MIGRATE;
  if (!desktop.waiting.empty()) return desktop.waiting.front().command.verb();
  return desktop.unsure;
}

bool AgentCore::IsOnItsWay(const Desktop& desktop) {
  return !desktop.running.has_value() && (desktop.unsure == v1::COMMAND_MIGRATE ||
                                          (desktop.domain.has_value() && desktop.domain->moving));
}

bool AgentCore::IsBeingMade(const Desktop& desktop) {
  if (!desktop.running.has_value()) return false;
  const OperationKind kind = desktop.running->kind;
  return kind == OperationKind::kCreate || kind == OperationKind::kStartKept ||
         kind == OperationKind::kRemove;
}

bool AgentCore::IsReportable(const Desktop& desktop) {
  return desktop.domain.has_value() || VerbUnderWay(desktop) != v1::COMMAND_UNSPECIFIED ||
         desktop.failed_verb != v1::COMMAND_UNSPECIFIED;
}

v1::GuestState AgentCore::GuestStateOf(const Desktop& desktop) {
  if (!desktop.domain->guest_agent) return v1::GUEST_STATE_UNKNOWN;
  return desktop.guest.state;
}

bool AgentCore::HasProof(const Desktop& desktop) const {
  const DomainInfo& domain = *desktop.domain;
  if (domain.tag.used || domain.tag.overlay_identity.empty()) return false;
  if (domain.tag.backing_sha256.empty() || domain.power == DomainPower::kOff) return false;
  return !domain.guest_agent || !desktop.guest.boot_id.empty();
}

v1::DesktopReport AgentCore::DesktopReportOf(const std::string& id, const Desktop& desktop) const {
  v1::DesktopReport report;
  report.set_desktop(id);
  report.set_power(v1::POWER_OFF);
  report.set_idle_s(-1);
  report.set_operation(VerbUnderWay(desktop));
  report.set_failed_verb(desktop.failed_verb);
  report.set_error(desktop.error);
  if (report.operation() == v1::COMMAND_MIGRATE) {
    // Of a move that an earlier run began nobody here knows where it goes.
    const bool waits =
        desktop.running_for.move_to().empty() && !desktop.waiting.empty() && !IsOnItsWay(desktop);
    report.set_moving_to(waits ? desktop.waiting.front().command.move_to()
                               : desktop.running_for.move_to());
  }
  // A newer START or RESET, once accepted, is what this desktop is about: the domain of the older
  // generation counts for nothing any more.
  const bool replaced =
      IsBeingMade(desktop) ||
      (desktop.domain.has_value() && desktop.domain->tag.generation < desktop.generation &&
       (MakesFresh(desktop.failed_verb) || MakesFresh(VerbUnderWay(desktop))));
  report.set_generation(replaced || !desktop.domain.has_value() ? desktop.generation
                                                                : desktop.domain->tag.generation);
  if (replaced || !desktop.domain.has_value()) return report;
  const DomainInfo& domain = *desktop.domain;
  report.set_power(PowerOf(domain.power));
  report.set_fenced(domain.tag.fenced);
  report.set_used(domain.tag.used);
  report.set_kept(domain.tag.kept);
  report.set_guest(GuestStateOf(desktop));
  report.set_guest_agent(domain.guest_agent);
  report.set_session(domain.tag.session);
  report.set_memory_mib(domain.memory_mib);
  if (domain.out_of_room && desktop.error.empty()) report.set_error(kOutOfRoom);
  if (HasProof(desktop)) {
    v1::ProofOfCleanness& proof = *report.mutable_proof();
    proof.set_generation(domain.tag.generation);
    proof.set_overlay_identity(domain.tag.overlay_identity);
    proof.set_overlay_created_unix_ns(domain.tag.overlay_created_unix_ns);
    proof.set_backing_sha256(domain.tag.backing_sha256);
    proof.set_domain_uuid(domain.uuid);
    proof.set_guest_boot_id(desktop.guest.boot_id);
  }
  if (desktop.tickets.connected()) {
    report.set_viewer(v1::VIEWER_CONNECTED);
  } else if (desktop.viewer_seen && !desktop.viewer_session.empty()) {
    report.set_viewer(v1::VIEWER_GONE);
  }
  for (const std::string& ticket : desktop.tickets.OpenTickets()) report.add_open_tickets(ticket);
  return report;
}

v1::AgentReport AgentCore::Report() const {
  v1::AgentReport report;
  report.set_host(host_);
  report.set_boot_id(boot_id_);
  report.set_agent_run(agent_run_);
  report.set_sequence(sequence_ + 1);
  report.set_seen_epoch(durable_epoch_);
  for (const auto& [id, desktop] : desktops_) {
    if (IsReportable(desktop)) *report.add_desktops() = DesktopReportOf(id, desktop);
  }
  *report.mutable_load() = load_;
  for (const auto& [key, image] : images_) {
    // What lies in a shared storage is fetched there with a desktop's start.
    if (key.first.empty() && !image.report.image().empty()) *report.add_images() = image.report;
  }
  for (const std::string& relay : settings_.relays) report.add_relays(relay);
  report.set_agent_version(settings_.agent_version);
  report.set_accelerator(settings_.accelerator);
  report.set_adopted(adopted_);
  for (const std::string& storage : storages_.names()) report.add_storages(storage);
  for (const std::string& network : networks_.names()) report.add_networks(network);
  report.set_lock_manager(settings_.lock_manager);
  report.set_migration_uri(settings_.migration_uri);
  report.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(heard_.fence_after)));
  return report;
}

void AgentCore::SendReportWhenDue() {
  if (!link_up_) return;
  const absl::Duration gap = changed_ ? settings_.report_gap : report_interval_;
  if (now_ < last_report_ + gap) return;
  agent::SendReport effect{Report()};
  ++sequence_;
  sent_reports_.emplace_back(sequence_, now_);
  if (sent_reports_.size() > settings_.max_sent_reports) sent_reports_.pop_front();
  last_report_ = now_;
  changed_ = false;
  Emit(std::move(effect));
}

absl::Duration AgentCore::WakeAt() const {
  absl::Duration wake = reading_stats_ ? absl::InfiniteDuration() : stats_at_;
  if (!listing_) wake = std::min(wake, list_at_);
  wake = std::min(wake, FenceWakeAt());
  if (link_up_) {
    wake = std::min(wake, last_report_ + (changed_ ? settings_.report_gap : report_interval_));
  }
  for (const auto& [id, desktop] : desktops_) {
    wake = std::min(wake, desktop.tickets.next_expiry());
    if (desktop.running.has_value()) continue;
    if (desktop.shutdown.has_value() && desktop.shutdown->asked) {
      wake = std::min(wake, desktop.shutdown->harder_at);
    }
    const bool reads = desktop.domain.has_value() && desktop.domain->guest_agent &&
                       desktop.domain->power == DomainPower::kRunning;
    // Late only for want of a free worker, whose end is an event of its own.
    if (reads && desktop.read_guest_at > now_) wake = std::min(wake, desktop.read_guest_at);
  }
  return std::max(wake, now_);
}

}  // namespace werkplek
