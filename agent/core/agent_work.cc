// The work of the host: operations, what comes of them, and what is seen of the domains.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"

namespace werkplek {
namespace {

// The domain that is there once it was made.
DomainInfo MadeBy(const Operation& operation, const OperationResult& result) {
  DomainInfo info;
  info.tag = result.tag;
  info.uuid = operation.uuid;
  info.power = DomainPower::kRunning;
  info.memory_mib = operation.spec.memory_mib();
  info.vcpus = operation.spec.vcpus();
  info.guest_agent = operation.image.guest_agent();
  return info;
}

}  // namespace

bool IsHeavy(OperationKind kind, bool to_disk) {
  switch (kind) {
    case OperationKind::kCreate:
    case OperationKind::kStartKept:
    case OperationKind::kStart:
    case OperationKind::kRemove:
      return true;
    case OperationKind::kSuspend:
      return to_disk;
    default:
      return false;
  }
}

void AgentCore::RunAll() {
  // First come, first served, over the whole host.
  std::vector<std::pair<uint64_t, Desktops::iterator>> in_line;
  for (auto at = desktops_.begin(); at != desktops_.end(); ++at) {
    const Desktop& desktop = at->second;
    if (desktop.running.has_value() || desktop.killing || desktop.waiting.empty()) continue;
    // A move of an earlier run, or whose answer was lost: its end comes first.
    if (IsOnItsWay(desktop)) continue;
    in_line.emplace_back(desktop.waiting.front().order, at);
  }
  std::sort(in_line.begin(), in_line.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& entry : in_line) RunDesktop(entry.second->first, entry.second->second);
  for (auto& [id, desktop] : desktops_) {
    if (desktop.tickets.Expire(now_)) Changed();
    FenceDoomed(id, desktop);
    ContinueShutdown(id, desktop);
    MarkUsedWhenNeeded(desktop);
    ReadGuestWhenDue(id, desktop);
  }
}

void AgentCore::RunDesktop(const std::string& id, Desktop& desktop) {
  while (!desktop.running.has_value() && !desktop.waiting.empty()) {
    const Waiting waiting = desktop.waiting.front();
    if (!Begin(id, desktop, waiting)) return;
    if (!desktop.waiting.empty()) desktop.waiting.pop_front();
    Changed();
  }
}

void AgentCore::ContinueShutdown(const std::string& id, Desktop& desktop) {
  if (!desktop.shutdown.has_value() || desktop.running.has_value()) return;
  Shutdown& shutdown = *desktop.shutdown;
  if (!desktop.domain.has_value() || desktop.domain->power == DomainPower::kOff) {
    desktop.shutdown.reset();
    Changed();
    return;
  }
  if (shutdown.asked) {
    if (now_ < shutdown.harder_at) {
      list_at_ = std::min(list_at_, listed_ + settings_.shutdown_poll);
      return;
    }
    shutdown.mode =
        shutdown.mode == ShutdownMode::kGuestAgent ? ShutdownMode::kAcpi : ShutdownMode::kPowerOff;
    shutdown.asked = false;
  }
  OperationKind kind = OperationKind::kShutdown;
  if (shutdown.mode != ShutdownMode::kPowerOff) {
    if (desktop.domain->power == DomainPower::kSuspended) kind = OperationKind::kResume;
    if (desktop.domain->power == DomainPower::kSaved) kind = OperationKind::kStart;
  }
  if (!HasRoom(kind, false)) return;
  Operation operation = NewOperation(kind, id);
  operation.mode = shutdown.mode;
  Launch(desktop, std::move(operation), shutdown.command);
}

void AgentCore::MarkUsedWhenNeeded(Desktop& desktop) {
  if (!desktop.tickets.waits_for_ready() || desktop.running.has_value()) return;
  if (!desktop.domain.has_value()) return;
  if (desktop.used_on_disk) {
    desktop.tickets.SetReady();
    Changed();
    return;
  }
  if (!HasRoom(OperationKind::kMarkUsed, false)) return;
  desktop.domain->tag.used = true;
  Operation operation = NewOperation(OperationKind::kMarkUsed, desktop.domain->tag.desktop);
  operation.tag = desktop.domain->tag;
  Launch(desktop, std::move(operation), {});
}

void AgentCore::ReadGuestWhenDue(const std::string& id, Desktop& desktop) {
  if (desktop.running.has_value() || !desktop.domain.has_value()) return;
  const DomainInfo& domain = *desktop.domain;
  if (!domain.guest_agent || domain.power != DomainPower::kRunning) return;
  if (now_ < desktop.read_guest_at || !HasRoom(OperationKind::kReadGuest, false)) return;
  Launch(desktop, NewOperation(OperationKind::kReadGuest, id), {});
}

bool AgentCore::HasRoom(OperationKind kind, bool to_disk) const {
  if (kind == OperationKind::kMigrate) return moves_running_ < settings_.max_moves;
  return IsHeavy(kind, to_disk) ? heavy_running_ < settings_.max_operations
                                : light_running_ < settings_.max_light_operations;
}

size_t& AgentCore::RunningOf(const Operation& operation) {
  if (operation.kind == OperationKind::kMigrate) return moves_running_;
  return IsHeavy(operation.kind, operation.to_disk) ? heavy_running_ : light_running_;
}

Operation AgentCore::NewOperation(OperationKind kind, const std::string& id) const {
  Operation operation;
  operation.id = last_operation_ + 1;
  operation.kind = kind;
  operation.desktop = id;
  const auto found = desktops_.find(id);
  if (found == desktops_.end()) return operation;
  operation.tag.desktop = id;
  operation.tag.generation = found->second.generation;
  if (found->second.domain.has_value()) operation.tag = found->second.domain->tag;
  if (operation.tag.fencing_required) operation.not_after = FenceDeadline();
  return operation;
}

void AgentCore::Launch(Desktop& desktop, Operation operation, const v1::AgentCommand& command) {
  ++RunningOf(operation);
  last_operation_ = operation.id;
  operation_desktop_[operation.id] = operation.desktop;
  desktop.running = operation;
  desktop.running_for = command;
  if (command.verb() != v1::COMMAND_UNSPECIFIED) Changed();
  Emit(agent::StartOperation{std::move(operation)});
}

void AgentCore::Succeeded(const std::string& id, Desktop& desktop, const Operation& operation,
                          const OperationResult& result) {
  switch (operation.kind) {
    case OperationKind::kCreate:
    case OperationKind::kStartKept:
      desktop.domain = MadeBy(operation, result);
      desktop.guest = {};
      desktop.used_on_disk = desktop.domain->tag.used;
      desktop.read_guest_at = now_ + settings_.guest_wait_poll;
      return;
    case OperationKind::kRemove:
    case OperationKind::kMigrate:
      Observe(id, desktop, nullptr);
      return;
    case OperationKind::kMarkFenced:
      if (desktop.domain.has_value()) desktop.domain->tag.fenced = true;
      return;
    case OperationKind::kMarkUsed:
      desktop.used_on_disk = true;
      return;
    case OperationKind::kReadGuest:
      NoteGuest(desktop, result.guest);
      return;
    default:
      break;
  }
  if (!desktop.domain.has_value()) return;
  DomainInfo info = *desktop.domain;
  switch (operation.kind) {
    case OperationKind::kStart:
    case OperationKind::kResume:
      info.power = DomainPower::kRunning;
      break;
    case OperationKind::kSuspend:
      info.power = operation.to_disk ? DomainPower::kSaved : DomainPower::kSuspended;
      break;
    case OperationKind::kShutdown:
      if (operation.mode == ShutdownMode::kPowerOff) {
        info.power = DomainPower::kOff;
      } else if (desktop.shutdown.has_value()) {
        desktop.shutdown->asked = true;
        desktop.shutdown->harder_at =
            now_ + (operation.mode == ShutdownMode::kGuestAgent ? settings_.guest_shutdown
                                                                : settings_.acpi_shutdown);
      }
      break;
    case OperationKind::kBeginSession:
      info.tag.session = operation.session;
      SessionBegun(desktop, operation);
      break;
    case OperationKind::kEndSession:
      info.tag.session.clear();
      SessionEnded(desktop);
      break;
    default:
      break;
  }
  if (info.power != DomainPower::kSuspended) info.out_of_room = false;
  // Only a list, or a tag written, tells what is on disk.
  const bool used_on_disk = desktop.used_on_disk;
  Observe(id, desktop, &info);
  desktop.used_on_disk = used_on_disk;
}

void AgentCore::SessionBegun(Desktop& desktop, const Operation& operation) {
  desktop.used_on_disk = true;
  desktop.guest.session = operation.session;
  desktop.guest.state = operation.tell_guest ? v1::GUEST_STATE_SESSION : v1::GUEST_STATE_UNKNOWN;
  desktop.read_guest_at = now_ + settings_.guest_poll;
}

void AgentCore::SessionEnded(Desktop& desktop) {
  desktop.viewer_session.clear();
  desktop.viewer_seen = false;
  desktop.guest.session.clear();
  desktop.read_guest_at = now_;
}

void AgentCore::Failed(const std::string& id, Desktop& desktop, const Operation& operation,
                       const v1::AgentCommand& command, const OperationResult& result) {
  const absl::Status& status = result.status;
  if (absl::IsDeadlineExceeded(status) && operation.tag.fencing_required &&
      operation.kind != OperationKind::kReadGuest) {
    desktop.unsure = command.verb();
  }
  if (operation.kind == OperationKind::kMigrate &&
      (absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status))) {
    // It may go on: the next list tells.
    desktop.unsure = v1::COMMAND_MIGRATE;
  }
  if (operation.kind == OperationKind::kReadGuest) {
    // Most often: it boots, or is busy.
    NoteGuest(desktop, {});
    return;
  }
  if (operation.kind == OperationKind::kMarkFenced) {
    Note(Severity::kError, "mark-fenced-failed", {{"desktop", id}, {"error", status.ToString()}});
    desktop.fence_at = now_ + settings_.fence_retry;
    return;
  }
  if (operation.kind == OperationKind::kCreate || operation.kind == OperationKind::kStartKept) {
    // Half of it may be there. The next list tells; nothing here is taken for clean meanwhile.
    Observe(id, desktop, nullptr);
  }
  if (operation.kind == OperationKind::kCreate) KnowImages(operation.tag.storage, result.images);
  if (operation.kind == OperationKind::kMarkUsed) {
    Note(Severity::kError, "mark-used-failed", {{"desktop", id}, {"error", status.ToString()}});
    // No display without the mark. The broker sends the ticket again, and the mark is tried again.
    desktop.tickets.ForgetUnready();
    CloseDisplays(id, desktop);
    return;
  }
  if (desktop.shutdown.has_value()) {
    if (desktop.shutdown->mode != ShutdownMode::kPowerOff) {
      // It cannot even be asked: the next, harder way, at once.
      desktop.shutdown->asked = true;
      desktop.shutdown->harder_at = now_;
      if (operation.kind != OperationKind::kShutdown) {
        desktop.shutdown->mode = ShutdownMode::kAcpi;
      }
      return;
    }
    desktop.shutdown.reset();
  }
  Fail(desktop, command, status.message());
}

void AgentCore::Observe(const std::string& id, Desktop& desktop, const DomainInfo* info) {
  if (desktop.unsure == v1::COMMAND_MIGRATE) {
    desktop.unsure = v1::COMMAND_UNSPECIFIED;
    Changed();
  }
  if (info == nullptr) {
    if (!desktop.domain.has_value()) return;
    desktop.domain.reset();
    desktop.guest = {};
    desktop.used_on_disk = false;
    desktop.viewer_session.clear();
    desktop.viewer_seen = false;
    CloseDisplays(id, desktop);
    return;
  }
  const bool same = desktop.domain.has_value() && desktop.domain->uuid == info->uuid &&
                    desktop.domain->tag.generation == info->tag.generation;
  const bool was_off = same && desktop.domain->power == DomainPower::kOff;
  const bool used = (same && desktop.domain->tag.used) || info->tag.used;
  const bool fenced = (same && desktop.domain->tag.fenced) || info->tag.fenced;
  const bool differs =
      !same || desktop.domain->power != info->power ||
      desktop.domain->tag.session != info->tag.session || desktop.domain->tag.used != used ||
      desktop.domain->tag.fenced != fenced || desktop.domain->memory_mib != info->memory_mib ||
      desktop.domain->moving != info->moving || desktop.domain->out_of_room != info->out_of_room;
  const bool stopped = info->out_of_room && !(same && desktop.domain->out_of_room);
  desktop.domain = *info;
  desktop.domain->tag.used = used;
  desktop.domain->tag.fenced = fenced;
  // Remembered when the domain goes, too.
  if (fenced) desktop.doomed = std::max(desktop.doomed, info->tag.generation);
  desktop.generation = std::max(desktop.generation, info->tag.generation);
  desktop.used_on_disk = (same && desktop.used_on_disk) || info->tag.used;
  if (info->power == DomainPower::kRunning) desktop.unsure = v1::COMMAND_UNSPECIFIED;
  if (!same) {
    desktop.guest = {};
    desktop.read_guest_at = now_;
    desktop.resume_at = -absl::InfiniteDuration();
    CloseDisplays(id, desktop);
    if (!info->tag.session.empty()) {
      // Whoever was connected went with the relay of the run before, or of the host before.
      desktop.viewer_session = info->tag.session;
      desktop.viewer_seen = true;
    }
  }
  if (info->power == DomainPower::kOff && !(same && was_off)) {
    desktop.guest = {};
    CloseDisplays(id, desktop);
  }
  if (was_off && info->power != DomainPower::kOff) desktop.read_guest_at = now_;
  if (stopped) NoteOutOfRoom(id, desktop);
  if (differs) Changed();
}

void AgentCore::NoteOutOfRoom(const std::string& id, Desktop& desktop) {
  // Not again for each try to resume it.
  if (now_ >= desktop.resume_at) {
    Note(Severity::kError, "out-of-room",
         {{"desktop", id}, {"disk", desktop.domain->disk}, {"error", kOutOfRoom}});
  }
  desktop.resume_at = now_ + settings_.room_retry;
}

void AgentCore::NoteGuest(Desktop& desktop, const GuestReading& reading) {
  if (!desktop.domain.has_value()) return;
  const std::string& session = desktop.domain->tag.session;
  const GuestReading before = desktop.guest;
  if (reading.boot_id.empty()) {
    // No answer: who is logged in there is as it was last heard.
    if (session.empty()) desktop.guest.state = v1::GUEST_STATE_UNKNOWN;
  } else {
    desktop.guest = reading;
    if (session.empty() || reading.session != session) {
      desktop.guest.state = v1::GUEST_STATE_UP;
      desktop.guest.session.clear();
    } else if (before.session == session && before.state == v1::GUEST_STATE_LOGGED_OUT) {
      desktop.guest.state = v1::GUEST_STATE_LOGGED_OUT;
    }
  }
  if (desktop.guest.boot_id.empty()) {
    desktop.read_guest_at = now_ + settings_.guest_wait_poll;
  } else if (!session.empty()) {
    desktop.read_guest_at = now_ + settings_.guest_poll;
  } else {
    desktop.read_guest_at = absl::InfiniteDuration();
  }
  if (before.boot_id != desktop.guest.boot_id || before.state != desktop.guest.state) Changed();
}

void AgentCore::ForgetGone() {
  if (desktops_.size() < settings_.max_desktops) return;
  for (auto at = desktops_.begin(); at != desktops_.end();) {
    const Desktop& desktop = at->second;
    const bool gone =
        !IsReportable(desktop) && !desktop.running.has_value() && !desktop.tickets.has_channels();
    at = gone ? desktops_.erase(at) : std::next(at);
  }
}

}  // namespace werkplek
