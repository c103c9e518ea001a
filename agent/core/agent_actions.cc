// A command whose turn has come becomes an operation, or nothing, or a failure with its reason.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/core/agent_core.h"
#include "common/base/crypto.h"

namespace werkplek {
namespace {

// A UUID of version 8 (RFC 9562): made of a hash, the same for the same events.
std::string UuidOf(absl::string_view seed) {
  std::string bytes = Sha256(seed).substr(0, 16);
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x80);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  const std::string hex = HexEncode(bytes);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

}  // namespace

bool AgentCore::Begin(const std::string& id, Desktop& desktop, const Waiting& waiting) {
  const DesktopAction action = Plan(desktop, waiting.command);
  const bool replaces = action == DesktopAction::kFresh || action == DesktopAction::kRemove ||
                        action == DesktopAction::kFreshUnlessClean ||
                        action == DesktopAction::kFreshUnlessUsed ||
                        action == DesktopAction::kStartKept;
  // A shutdown under way is finished first, unless its outcome does not matter any more.
  if (desktop.shutdown.has_value() && !replaces) return false;
  return BeginAction(action, id, desktop, waiting);
}

bool AgentCore::BeginAction(DesktopAction action, const std::string& id, Desktop& desktop,
                            const Waiting& waiting) {
  const v1::AgentCommand& command = waiting.command;
  switch (action) {
    case DesktopAction::kNothing:
      // It is as it should be; an old failure says nothing any more.
      if (desktop.failed_verb == command.verb()) {
        desktop.failed_verb = v1::COMMAND_UNSPECIFIED;
        desktop.error.clear();
      }
      return true;
    case DesktopAction::kFreshUnlessClean:
      // A repeated RESET whose overlay is there, unused, and whose machine runs on it.
      if (!desktop.domain->tag.used && desktop.domain->power == DomainPower::kRunning) return true;
      return BeginFresh(id, desktop, command);
    case DesktopAction::kFreshUnlessUsed: {
      const DomainTag& tag = desktop.domain->tag;
      const bool reset_here = !tag.overlay_identity.empty();
      if (reset_here && desktop.domain->power == DomainPower::kRunning) return true;
      if (reset_here && !tag.used) return BeginFresh(id, desktop, command);
      Fail(desktop, command,
           "the kept disk was used in this generation; a reset needs a newer generation");
      return true;
    }
    case DesktopAction::kFresh:
      return BeginFresh(id, desktop, command);
    case DesktopAction::kStartKept:
      return BeginMaking(OperationKind::kStartKept, id, desktop, command);
    case DesktopAction::kMigrate:
      return BeginMove(id, desktop, command);
    case DesktopAction::kStart:
      return BeginSimple(OperationKind::kStart, desktop, command);
    case DesktopAction::kSuspend:
      return BeginSimple(OperationKind::kSuspend, desktop, command);
    case DesktopAction::kResume:
      return BeginResume(desktop, command);
    case DesktopAction::kShutDown:
    case DesktopAction::kWakeAndShutDown:
      return BeginShutdown(id, desktop, command);
    case DesktopAction::kRemove:
      return BeginRemove(id, desktop, command);
    case DesktopAction::kBeginSession:
      return BeginSession(desktop, command);
    case DesktopAction::kEndSession:
      return EndSession(desktop, command);
    case DesktopAction::kGrantTicket:
      GrantTicket(id, desktop, waiting);
      return true;
    case DesktopAction::kCloseDisplay:
      CloseDisplays(id, desktop);
      return true;
    case DesktopAction::kImpossible:
      Fail(desktop, command, "not possible: the desktop does not run");
      return true;
    case DesktopAction::kRefused:
      Refuse(command, "other-generation", "the desktop here is of an older generation");
      return true;
  }
  return true;
}

bool AgentCore::BeginFresh(const std::string& id, Desktop& desktop,
                           const v1::AgentCommand& command) {
  const ImageKey key(command.spec().storage(), command.image_name());
  if (storages_.Has(key.first) && !IsAtHand(key, command.image().sha256())) {
    FetchImage(key, command.image());
    return false;
  }
  return BeginMaking(OperationKind::kCreate, id, desktop, command);
}

bool AgentCore::BeginMaking(OperationKind kind, const std::string& id, Desktop& desktop,
                            const v1::AgentCommand& command) {
  const v1::DesktopSpec& spec = command.spec();
  if (const std::string away = WhatIsAway(spec.storage(), spec.network()); !away.empty()) {
    Fail(desktop, command, away);
    return true;
  }
  if (!HasRoom(kind, false)) return false;
  CloseDisplays(id, desktop);
  desktop.shutdown.reset();
  desktop.viewer_session.clear();
  desktop.viewer_seen = false;
  Operation operation = NewOperation(kind, id);
  DomainTag tag;
  tag.desktop = id;
  tag.pool = spec.pool();
  tag.image = command.image_name();
  tag.generation = command.generation();
  if (kind == OperationKind::kCreate) tag.backing_sha256 = command.image().sha256();
  // Whoever cannot be shown to be clean was used.
  tag.used = kind == OperationKind::kStartKept;
  tag.kept = spec.kept();
  tag.fencing_required = spec.fencing_required();
  tag.storage = spec.storage();
  tag.network = spec.network();
  if (const HostNetwork* network = FindNetwork(spec.network())) operation.network = *network;
  operation.tag = std::move(tag);
  operation.not_after = spec.fencing_required() ? FenceDeadline() : absl::InfiniteDuration();
  // A kept desktop is the same machine to its guest, whatever happens to it.
  operation.uuid = UuidOf(spec.kept() ? absl::StrCat("kept/", id)
                                      : absl::StrCat(host_, "/", agent_run_, "/", id, "/",
                                                     command.generation(), "/", operation.id));
  operation.spec = spec;
  operation.image_name = command.image_name();
  operation.image = command.image();
  Launch(desktop, std::move(operation), command);
  return true;
}

bool AgentCore::BeginMove(const std::string& id, Desktop& desktop,
                          const v1::AgentCommand& command) {
  if (desktop.domain->tag.storage.empty()) {
    Fail(desktop, command, "its disk is of this host alone; only a pool with storage moves");
    return true;
  }
  // The other host's libvirt would take what it has by that name, whatever that is.
  const std::string& name = desktop.domain->tag.network;
  const HostNetwork* network = FindNetwork(name);
  const bool by_that_name = network != nullptr && (!network->bridge.empty() ||
                                                   network->libvirt_network == MovingNameOf(name));
  if (!name.empty() && !by_that_name) {
    Fail(desktop, command,
         absl::StrCat("network ", name, " is not ", MovingNameOf(name),
                      " in this host's libvirt; only by that name it moves"));
    return true;
  }
  if (!HasRoom(OperationKind::kMigrate, false)) return false;
  CloseDisplays(id, desktop);
  Operation operation = NewOperation(OperationKind::kMigrate, id);
  operation.move_to = command.move_to();
  operation.migration_uri = command.migration_uri();
  Launch(desktop, std::move(operation), command);
  return true;
}

const HostNetwork* AgentCore::FindNetwork(const std::string& name) const {
  const auto found = std::find_if(settings_.networks.begin(), settings_.networks.end(),
                                  [&](const HostNetwork& network) { return network.name == name; });
  return found == settings_.networks.end() ? nullptr : &*found;
}

std::string AgentCore::WhatIsAway(const std::string& storage, const std::string& network) const {
  if (!storages_.Has(storage)) {
    return absl::StrCat("storage ", storage, " is not at hand on this host");
  }
  if (networks_.Has(network)) return "";
  return absl::StrCat("network ", network, " is not at hand on this host: ",
                      FindNetwork(network) != nullptr
                          ? "its agent's log says why (event=network-not-at-hand)"
                          : "name it under `networks` in its agent's configuration");
}

bool AgentCore::BeginSimple(OperationKind kind, Desktop& desktop, const v1::AgentCommand& command) {
  if (kind == OperationKind::kStart) {
    // libvirt would say it too, but not what to do.
    const std::string away = WhatIsAway("", desktop.domain->tag.network);
    if (!away.empty()) {
      Fail(desktop, command, away);
      return true;
    }
  }
  const bool to_disk = kind == OperationKind::kSuspend && settings_.suspend_to_disk;
  if (!HasRoom(kind, to_disk)) return false;
  Operation operation = NewOperation(kind, command.desktop());
  operation.to_disk = to_disk;
  Launch(desktop, std::move(operation), command);
  return true;
}

bool AgentCore::BeginResume(Desktop& desktop, const v1::AgentCommand& command) {
  if (desktop.domain->out_of_room) {
    // Without room it stops at its next write. The broker asks again, for as long as it takes.
    if (now_ < desktop.resume_at) return true;
    if (HasRoom(OperationKind::kResume, false)) desktop.resume_at = now_ + settings_.room_retry;
  }
  return BeginSimple(OperationKind::kResume, desktop, command);
}

bool AgentCore::BeginRemove(const std::string& id, Desktop& desktop,
                            const v1::AgentCommand& command) {
  if (!HasRoom(OperationKind::kRemove, false)) return false;
  CloseDisplays(id, desktop);
  desktop.shutdown.reset();
  Operation operation = NewOperation(OperationKind::kRemove, id);
  operation.tag.generation = command.generation();
  if (!desktop.domain.has_value()) {
    // What a crash left may lie anywhere.
    operation.storages.assign(storages_.names().begin(), storages_.names().end());
  } else if (!operation.tag.storage.empty()) {
    operation.storages.push_back(operation.tag.storage);
  }
  Launch(desktop, std::move(operation), command);
  return true;
}

bool AgentCore::BeginShutdown(const std::string& id, Desktop& desktop,
                              const v1::AgentCommand& command) {
  CloseDisplays(id, desktop);
  Shutdown shutdown;
  shutdown.command = command;
  shutdown.mode = desktop.domain->guest_agent ? ShutdownMode::kGuestAgent : ShutdownMode::kAcpi;
  // What was fenced is not woken, not even to shut down.
  if (IsDoomed(desktop) || desktop.domain->tag.fenced) shutdown.mode = ShutdownMode::kPowerOff;
  desktop.shutdown = shutdown;
  Changed();
  return true;
}

bool AgentCore::BeginSession(Desktop& desktop, const v1::AgentCommand& command) {
  DomainTag& tag = desktop.domain->tag;
  if (!tag.session.empty() && tag.session != command.session()) {
    Fail(desktop, command,
         absl::StrCat("the desktop still serves session ", tag.session, "; end that first"));
    return true;
  }
  const bool told =
      tag.session == command.session() &&
      (!desktop.domain->guest_agent || (desktop.guest.session == command.session() &&
                                        desktop.guest.state != v1::GUEST_STATE_UNKNOWN));
  if (told) return true;
  if (!HasRoom(OperationKind::kBeginSession, false)) return false;
  if (desktop.viewer_session != command.session()) {
    desktop.viewer_session = command.session();
    desktop.viewer_seen = false;
  }
  Operation operation = NewOperation(OperationKind::kBeginSession, command.desktop());
  operation.tag = tag;
  operation.session = command.session();
  operation.user = command.user();
  operation.display_name = command.display_name();
  operation.tell_guest = desktop.domain->guest_agent;
  // From here on a person may have left something: whatever comes of the operation.
  tag.used = true;
  Launch(desktop, std::move(operation), command);
  return true;
}

bool AgentCore::EndSession(Desktop& desktop, const v1::AgentCommand& command) {
  DomainTag& tag = desktop.domain->tag;
  if (!tag.session.empty() && tag.session != command.session()) {
    Refuse(command, "other-session", absl::StrCat("the desktop serves session ", tag.session));
    return true;
  }
  if (tag.session.empty()) {
    desktop.viewer_session.clear();
    desktop.viewer_seen = false;
    return true;
  }
  if (!HasRoom(OperationKind::kEndSession, false)) return false;
  Operation operation = NewOperation(OperationKind::kEndSession, command.desktop());
  operation.tag = tag;
  operation.session = command.session();
  operation.tell_guest =
      desktop.domain->guest_agent && desktop.domain->power == DomainPower::kRunning;
  Launch(desktop, std::move(operation), command);
  return true;
}

void AgentCore::GrantTicket(const std::string& id, Desktop& desktop, const Waiting& waiting) {
  const v1::AgentCommand& command = waiting.command;
  DomainTag& tag = desktop.domain->tag;
  if (!tag.session.empty() && tag.session != command.session()) {
    Refuse(command, "other-session", absl::StrCat("the desktop serves session ", tag.session));
    return;
  }
  const v1::TicketGrant& ticket = command.ticket();
  if (desktop.tickets.Knows(ticket.ticket_sha256())) return;
  if (desktop.viewer_session != command.session()) {
    desktop.viewer_session = command.session();
    desktop.viewer_seen = false;
  }
  // Before anybody may see the display, the disk says that it was used.
  CutChannels(id, desktop.tickets.Grant(ticket.ticket_sha256(), ticket.certificate_sha256(),
                                        waiting.received + absl::Milliseconds(ticket.lifetime_ms()),
                                        desktop.used_on_disk));
  Changed();
}

void AgentCore::CloseDisplays(const std::string& id, Desktop& desktop) {
  CutChannels(id, desktop.tickets.Revoke());
  Changed();
}

void AgentCore::CutChannels(const std::string& id, std::vector<uint64_t> channels) {
  if (!channels.empty()) Emit(agent::CloseDisplay{id, std::move(channels)});
}

}  // namespace werkplek
