// An AgentCore over a host that is a map: effects are collected, or answered at once.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"
#include "common/base/crypto.h"

namespace werkplek {

inline constexpr char kImageSha256[] =
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

// A host as the hypervisor would show it, and guests as their agents would.
struct FakeHost {
  std::map<std::string, DomainInfo> domains;
  std::map<std::string, GuestReading> guests;
  std::map<std::string, v1::ImageReport> images;
  uint64_t boots = 0;
  uint64_t overlays = 0;
  // Operations of this kind fail with this.
  std::map<OperationKind, absl::Status> failures;
  // Domains ignore requests to shut down below power off.
  bool stubborn = false;
  // There is no room where the disks are.
  bool full = false;
  // Desktops whose kept disk is here.
  std::set<std::string> kept_disks;
  // Domains as they went to other hosts.
  std::map<std::string, DomainInfo> moved;

  OperationResult Run(const Operation& operation, absl::Duration now) {
    OperationResult result;
    result.id = operation.id;
    if (const auto failure = failures.find(operation.kind); failure != failures.end()) {
      result.status = failure->second;
    } else if (now > operation.not_after && MakesRun(operation.kind)) {
      result.status = absl::AbortedError("too late");
    } else {
      result.status = Do(operation, result);
    }
    for (const auto& [name, image] : images) result.images.push_back(image);
    return result;
  }

 private:
  static bool MakesRun(OperationKind kind) {
    return kind == OperationKind::kCreate || kind == OperationKind::kStartKept ||
           kind == OperationKind::kStart || kind == OperationKind::kResume ||
           kind == OperationKind::kMigrate;
  }

  void Boot(const std::string& desktop) {
    guests[desktop] = {absl::StrCat("boot-", ++boots), v1::GUEST_STATE_UP, ""};
  }

  absl::Status Do(const Operation& operation, OperationResult& result) {
    const std::string& id = operation.desktop;
    if (operation.kind == OperationKind::kFetchImage) {
      v1::ImageReport& report = images[operation.image_name];
      report.set_image(operation.image_name);
      report.set_sha256(operation.image.sha256());
      report.set_verified(true);
      return absl::OkStatus();
    }
    if (operation.kind == OperationKind::kDropImage) {
      images.erase(operation.image_name);
      return absl::OkStatus();
    }
    if (operation.kind == OperationKind::kStartKept && kept_disks.count(id) == 0) {
      return absl::NotFoundError("its disk is not here");
    }
    if (operation.kind == OperationKind::kCreate || operation.kind == OperationKind::kStartKept) {
      DomainInfo info;
      info.tag = operation.tag;
      if (operation.kind == OperationKind::kCreate) {
        info.tag.overlay_identity = absl::StrCat("8:", ++overlays);
        info.tag.overlay_created_unix_ns = static_cast<int64_t>(overlays) * 1000;
        if (info.tag.kept) kept_disks.insert(id);
      }
      info.uuid = operation.uuid;
      info.power = DomainPower::kRunning;
      info.memory_mib = operation.spec.memory_mib();
      info.guest_agent = operation.image.guest_agent();
      domains[id] = info;
      result.tag = info.tag;
      Boot(id);
      return absl::OkStatus();
    }
    if (operation.kind == OperationKind::kRemove) {
      domains.erase(id);
      guests.erase(id);
      kept_disks.erase(id);
      return absl::OkStatus();
    }
    if (operation.kind == OperationKind::kKill && domains.count(id) == 0) return absl::OkStatus();
    const auto found = domains.find(id);
    if (found == domains.end()) return absl::NotFoundError("no such domain");
    return DoThere(operation, found->second, result);
  }

  absl::Status DoThere(const Operation& operation, DomainInfo& domain, OperationResult& result) {
    GuestReading& guest = guests[operation.desktop];
    switch (operation.kind) {
      case OperationKind::kStart:
        if (domain.power == DomainPower::kOff) Boot(operation.desktop);
        domain.power = DomainPower::kRunning;
        break;
      case OperationKind::kSuspend:
        domain.power = operation.to_disk ? DomainPower::kSaved : DomainPower::kSuspended;
        break;
      case OperationKind::kResume:
        // Without room it stops at its next write.
        if (!full) domain.out_of_room = false;
        if (!domain.out_of_room) domain.power = DomainPower::kRunning;
        break;
      case OperationKind::kShutdown:
        if (!stubborn || operation.mode == ShutdownMode::kPowerOff) {
          domain.power = DomainPower::kOff;
        }
        break;
      case OperationKind::kKill:
        if (domain.uuid == operation.uuid && domain.power != DomainPower::kSaved) {
          domain.power = DomainPower::kOff;
        }
        break;
      case OperationKind::kMarkFenced:
        domain.tag.fenced = true;
        break;
      case OperationKind::kMigrate:
        moved[operation.desktop] = domain;
        domains.erase(operation.desktop);
        break;
      case OperationKind::kMarkUsed:
        domain.tag.used = true;
        break;
      case OperationKind::kBeginSession:
        domain.tag.used = true;
        domain.tag.session = operation.session;
        guest.session = operation.session;
        guest.state = v1::GUEST_STATE_SESSION;
        break;
      case OperationKind::kEndSession:
        domain.tag.session.clear();
        guest.session.clear();
        guest.state = v1::GUEST_STATE_UP;
        break;
      case OperationKind::kReadGuest:
        if (guest.boot_id.empty()) return absl::UnavailableError("no agent answers");
        result.guest = guest;
        break;
      default:
        return absl::InternalError("not an operation of a domain");
    }
    return absl::OkStatus();
  }
};

class CoreHarness {
 public:
  explicit CoreHarness(AgentSettings settings = {}, uint64_t seen_epoch = 1, HeardState heard = {})
      : core(std::move(settings), "hv-a1", "run-1", "boot-1", seen_epoch, heard) {}

  // Applies one event and collects its effects.
  void Apply(const AgentEvent& event) {
    AgentDecision decision = core.Apply(event, now);
    wake_at = decision.wake_at;
    for (AgentEffect& effect : decision.effects) effects.push_back(std::move(effect));
  }

  // Answers the effects until nothing is left to answer; operations in `held` stay open.
  void Settle() {
    while (!effects.empty()) {
      std::vector<AgentEffect> todo = std::exchange(effects, {});
      for (AgentEffect& effect : todo) Answer(std::move(effect));
    }
  }

  void ApplyAndSettle(const AgentEvent& event) {
    Apply(event);
    Settle();
  }

  // Lets time pass from one wake-up to the next.
  void Advance(absl::Duration by) {
    const absl::Duration until = now + by;
    Settle();
    while (wake_at <= until) {
      now = std::max(now, wake_at);
      ApplyAndSettle(agent::Tick{});
      if (wake_at <= now) break;
    }
    now = until;
    ApplyAndSettle(agent::Tick{});
  }

  // Adopts the host's domains and has a link.
  void Begin() {
    Apply(agent::LinkUp{});
    Settle();
  }

  v1::AgentCommand Command(v1::CommandVerb verb, uint64_t generation = 1) const {
    v1::AgentCommand command;
    command.set_epoch(epoch);
    command.set_desktop("kantoor-1");
    command.set_generation(generation);
    command.set_verb(verb);
    if (verb == v1::COMMAND_START || verb == v1::COMMAND_RESET || verb == v1::COMMAND_FETCH_IMAGE ||
        verb == v1::COMMAND_DROP_IMAGE) {
      command.mutable_spec()->set_pool("kantoor");
      command.mutable_spec()->set_memory_mib(192);
      command.mutable_spec()->set_vcpus(1);
      command.set_image_name("tiny");
      command.mutable_image()->set_sha256(kImageSha256);
      command.mutable_image()->set_source("/images/tiny.qcow2");
      command.mutable_image()->set_guest_agent(guest_agent);
    }
    if (verb == v1::COMMAND_BEGIN_SESSION || verb == v1::COMMAND_END_SESSION ||
        verb == v1::COMMAND_GRANT_TICKET) {
      command.set_session("session-1");
      command.set_user("jan");
      command.set_display_name("Jan de Vries");
    }
    if (verb == v1::COMMAND_GRANT_TICKET) {
      command.mutable_ticket()->set_ticket_sha256(Sha256("ticket-1"));
      command.mutable_ticket()->set_certificate_sha256(Sha256("client"));
      command.mutable_ticket()->set_lifetime_ms(30'000);
    }
    return command;
  }

  // Of a dedicated pool: kept, fenced, and with `storage`.
  v1::AgentCommand KeptCommand(v1::CommandVerb verb, uint64_t generation = 1,
                               const std::string& storage = "") const {
    v1::AgentCommand command = Command(verb, generation);
    command.mutable_spec()->set_kept(true);
    command.mutable_spec()->set_fencing_required(true);
    command.mutable_spec()->set_storage(storage);
    return command;
  }
  v1::AgentCommand MoveCommand(uint64_t generation = 1) const {
    v1::AgentCommand command = Command(v1::COMMAND_MIGRATE, generation);
    command.set_move_to("hv-a2");
    command.set_migration_uri("qemu+tls://hv-a2/system");
    return command;
  }
  // A leader that heard the report of that sequence.
  v1::AgentCommand HeardCommand(uint64_t sequence) const {
    v1::AgentCommand command;
    command.set_epoch(epoch);
    command.set_verb(v1::COMMAND_HEARD);
    command.set_heard_sequence(sequence);
    command.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(fence_after)));
    return command;
  }

  void Obey(const v1::AgentCommand& command) { ApplyAndSettle(agent::CommandReceived{command}); }
  void Obey(v1::CommandVerb verb, uint64_t generation = 1) { Obey(Command(verb, generation)); }

  agent::TicketAnswer Present(uint64_t channel, const std::string& ticket = "ticket-1",
                              const std::string& certificate = "client",
                              const std::string& viewer = "viewer-1",
                              const std::string& desktop = "kantoor-1") {
    answers.clear();
    ApplyAndSettle(
        agent::TicketPresented{channel, desktop, Sha256(ticket), Sha256(certificate), viewer});
    return answers.size() == 1 ? answers.begin()->second : agent::TicketAnswer::kNoDesktop;
  }

  // The report on one desktop, as it would go now; its name is empty when there is none.
  v1::DesktopReport Desktop(const std::string& id = "kantoor-1") const {
    const v1::AgentReport report = core.Report();
    for (const v1::DesktopReport& desktop : report.desktops()) {
      if (desktop.desktop() == id) return desktop;
    }
    return {};
  }

  int CountOf(const std::string& what, const std::string& label) const {
    const auto found = counts.find({what, label});
    return found == counts.end() ? 0 : found->second;
  }

  int Logged(const std::string& event) const {
    const auto found = logged.find(event);
    return found == logged.end() ? 0 : found->second;
  }

  // Operations that were started, of this kind.
  size_t Started(OperationKind kind) const {
    size_t count = 0;
    for (const Operation& operation : operations) count += operation.kind == kind ? 1 : 0;
    return count;
  }

  // Ends an operation that was held.
  void Release(OperationKind kind) {
    for (auto at = open.begin(); at != open.end(); ++at) {
      if (at->kind != kind) continue;
      const Operation operation = *at;
      open.erase(at);
      ApplyAndSettle(agent::OperationDone{host.Run(operation, now)});
      return;
    }
  }

  AgentCore core;
  FakeHost host;
  absl::Duration now = absl::Seconds(1'000);
  absl::Duration wake_at = absl::ZeroDuration();
  uint64_t epoch = 1;
  bool guest_agent = true;
  // Kinds whose operations wait for Release.
  std::set<OperationKind> held;
  bool hold_lists = false;
  // Every report is heard at once, by a leader with this fence.
  bool hears = false;
  absl::Duration fence_after = absl::Seconds(10);
  std::vector<std::string> storages;
  bool answers_storages = true;
  std::vector<std::string> networks;
  bool answers_networks = true;
  HeardState saved_heard;
  absl::Status persist_status;

  std::vector<AgentEffect> effects;
  std::vector<Operation> operations;
  std::vector<Operation> open;
  std::vector<v1::AgentReport> reports;
  std::vector<absl::Duration> report_times;
  std::map<uint64_t, agent::TicketAnswer> answers;
  std::vector<uint64_t> cut;
  std::vector<uint64_t> persisted;
  std::vector<uint64_t> lists;
  std::map<std::pair<std::string, std::string>, int> counts;
  std::map<std::string, int> logged;

 private:
  void Answer(AgentEffect effect) {
    if (auto* start = std::get_if<agent::StartOperation>(&effect)) {
      operations.push_back(start->operation);
      if (held.count(start->operation.kind) > 0) {
        open.push_back(start->operation);
      } else {
        Apply(agent::OperationDone{host.Run(start->operation, now)});
      }
    } else if (auto* list = std::get_if<agent::ListDomains>(&effect)) {
      lists.push_back(list->id);
      if (!hold_lists) Apply(Observed(list->id));
    } else if (auto* persist = std::get_if<agent::PersistEpoch>(&effect)) {
      persisted.push_back(persist->epoch);
      Apply(agent::EpochPersisted{persist->epoch, persist_status});
    } else if (std::holds_alternative<agent::ReadStats>(effect)) {
      Apply(agent::StatsRead{absl::OkStatus(), {}});
    } else if (auto* send = std::get_if<agent::SendReport>(&effect)) {
      reports.push_back(std::move(send->report));
      report_times.push_back(now);
      if (hears) Apply(agent::CommandReceived{HeardCommand(reports.back().sequence())});
    } else if (std::holds_alternative<agent::CheckStorages>(effect)) {
      if (answers_storages) Apply(agent::StoragesChecked{storages});
    } else if (std::holds_alternative<agent::CheckNetworks>(effect)) {
      if (answers_networks) Apply(agent::NetworksChecked{networks});
    } else if (auto* save = std::get_if<agent::SaveHeard>(&effect)) {
      saved_heard = {save->heard_at, save->fence_after};
      Apply(agent::HeardSaved{absl::OkStatus()});
    } else if (auto* answer = std::get_if<agent::AnswerTicket>(&effect)) {
      answers[answer->channel] = answer->answer;
    } else if (auto* close = std::get_if<agent::CloseDisplay>(&effect)) {
      cut.insert(cut.end(), close->channels.begin(), close->channels.end());
    } else if (auto* counted = std::get_if<agent::Counted>(&effect)) {
      ++counts[{counted->what, counted->label}];
    } else if (auto* log = std::get_if<agent::LogEvent>(&effect)) {
      ++logged[log->event];
    }
  }

 public:
  agent::DomainsObserved Observed(uint64_t id) const {
    agent::DomainsObserved observed;
    observed.id = id;
    for (const auto& [name, info] : host.domains) observed.domains.push_back(info);
    return observed;
  }
};

}  // namespace werkplek
