#include "agent/hypervisor/libvirt_domain.h"

#include <libvirt/virterror.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/hypervisor/libvirt_error.h"
#include "agent/hypervisor/migration_uri.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::Duration kGoesOffWithin = absl::Seconds(2);
constexpr absl::Duration kGoesOffPoll = absl::Milliseconds(20);

absl::Status Checked(int result, absl::string_view what) {
  return result < 0 ? LastLibvirtStatus(what) : absl::OkStatus();
}

absl::Status WrongPower(absl::string_view what) { return absl::FailedPreconditionError(what); }

DomainPower PowerOf(int state, int reason) {
  switch (state) {
    case VIR_DOMAIN_PAUSED:
      // Halfway through a start, a save or a move: it is still running as far as anyone may act.
      return reason == VIR_DOMAIN_PAUSED_STARTING_UP || reason == VIR_DOMAIN_PAUSED_SAVE ||
                     reason == VIR_DOMAIN_PAUSED_MIGRATION
                 ? DomainPower::kRunning
                 : DomainPower::kSuspended;
    case VIR_DOMAIN_PMSUSPENDED:
      return DomainPower::kSuspended;
    case VIR_DOMAIN_SHUTOFF:
    case VIR_DOMAIN_CRASHED:
      return DomainPower::kOff;
    default:  // Running, blocked, or shutting down (its QEMU still lives).
      return DomainPower::kRunning;
  }
}

// Whether the domain is off, or becomes so while a QEMU that already ends is waited for.
bool GoesOff(virDomainPtr domain) {
  const absl::Time deadline = absl::Now() + kGoesOffWithin;
  for (;;) {
    const absl::StatusOr<DomainPower> power = ReadPower(domain);
    if (power.ok() && *power == DomainPower::kOff) return true;
    if (!power.ok() || absl::Now() + kGoesOffPoll > deadline) return false;
    absl::SleepFor(kGoesOffPoll);
  }
}

absl::Status ShutdownByGuest(virDomainPtr domain) {
  if (virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0) {
    return absl::OkStatus();
  }
  const virErrorPtr error = virGetLastError();
  const ShutdownAnswer answer =
      error == nullptr
          ? ShutdownAnswer::kNotTaken
          : JudgeGuestShutdown(error->code, error->message == nullptr ? "" : error->message);
  const absl::Status status = LastLibvirtStatus("no guest agent answers");
  switch (answer) {
    case ShutdownAnswer::kTaken:
      return absl::OkStatus();
    case ShutdownAnswer::kPerhaps:
      if (GoesOff(domain)) return absl::OkStatus();
      break;
    case ShutdownAnswer::kNotTaken:
      break;
  }
  return absl::UnavailableError(status.message());
}

}  // namespace

absl::StatusOr<DomainHandle> FindDomain(virConnectPtr connection, const std::string& desktop) {
  DomainHandle domain(virDomainLookupByName(connection, DomainNameOf(desktop).c_str()));
  if (domain == nullptr) return LastLibvirtStatus(absl::StrCat("desktop ", desktop));
  ASSIGN_OR_RETURN(const std::optional<DomainTag> tag, ReadTag(domain.get()));
  if (!tag || tag->desktop != desktop) {
    return absl::NotFoundError(absl::StrCat("desktop ", desktop,
                                            ": the domain of that name is not "
                                            "one of Werkplek's"));
  }
  return domain;
}

absl::StatusOr<std::optional<DomainTag>> ReadTag(virDomainPtr domain) {
  const LibvirtString xml(virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, kTagNamespace,
                                               VIR_DOMAIN_AFFECT_CONFIG));
  if (xml == nullptr) {
    const virErrorPtr error = virGetLastError();
    // A transient domain has no lasting description; ours all have one.
    const bool not_ours = error != nullptr && (error->code == VIR_ERR_NO_DOMAIN_METADATA ||
                                               error->code == VIR_ERR_OPERATION_INVALID ||
                                               error->code == VIR_ERR_NO_DOMAIN);
    if (!not_ours) return LastLibvirtStatus("cannot read metadata");
    virResetLastError();
    return std::optional<DomainTag>();
  }
  ASSIGN_OR_RETURN(DomainTag tag, ParseTagXml(xml.get()));
  return std::optional<DomainTag>(std::move(tag));
}

absl::Status WriteTag(virDomainPtr domain, const DomainTag& tag) {
  const std::string xml = BuildTagXml(tag);
  const auto write = [&](unsigned flags) {
    return Checked(virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml.c_str(),
                                        kTagPrefix, kTagNamespace, flags),
                   "cannot write metadata");
  };
  if (virDomainIsActive(domain) == 1) {
    const absl::Status both = write(VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_AFFECT_LIVE);
    // It may have gone off since it was asked (a kill that is not over yet): then only the lasting
    // description is left to write.
    if (both.ok() || virDomainIsActive(domain) == 1) return both;
  }
  return write(VIR_DOMAIN_AFFECT_CONFIG);
}

absl::StatusOr<DomainXmlFacts> ReadFacts(virDomainPtr domain) {
  const LibvirtString xml(virDomainGetXMLDesc(domain, 0));
  if (xml == nullptr) return LastLibvirtStatus("cannot read the domain");
  return ParseDomainXml(xml.get());
}

absl::StatusOr<DomainState> ReadState(virDomainPtr domain) {
  int state = 0, reason = 0;
  RETURN_IF_ERROR(Checked(virDomainGetState(domain, &state, &reason, 0), "cannot read the state"));
  DomainState read;
  read.power = PowerOf(state, reason);
  // Other errors of a disk go to the guest: QEMU stops for want of room only (its werror=enospc).
  read.out_of_room = state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_IOERROR;
  if (read.power == DomainPower::kOff && virDomainHasManagedSaveImage(domain, 0) == 1) {
    read.power = DomainPower::kSaved;
  }
  return read;
}

absl::StatusOr<DomainPower> ReadPower(virDomainPtr domain) {
  ASSIGN_OR_RETURN(const DomainState state, ReadState(domain));
  return state.power;
}

namespace {

// Whether a command holds the domain, so that whoever asks for its jobs waits until it ends, and no
// job of the long kind (a move is one) is under way. A job by itself is not told here: a move that
// sends no command at the moment looks like none.
bool IsOccupied(virDomainPtr domain) {
  virDomainControlInfo info = {};
  if (virDomainGetControlInfo(domain, &info, 0) < 0) {
    virResetLastError();
    return false;
  }
  return info.state == VIR_DOMAIN_CONTROL_OCCUPIED ||
         (info.state == VIR_DOMAIN_CONTROL_ERROR &&
          info.details == VIR_DOMAIN_CONTROL_ERROR_REASON_INTERNAL);
}

// A job that began before this agent's run, or whose answer was lost, goes on without it.
absl::StatusOr<bool> IsBeingMoved(virDomainPtr domain) {
  if (IsOccupied(domain)) return false;
  virTypedParameterPtr parameters = nullptr;
  int type = VIR_DOMAIN_JOB_NONE, count = 0;
  if (virDomainGetJobStats(domain, &type, &parameters, &count, 0) < 0) {
    const absl::Status status = LastLibvirtStatus("cannot read its jobs");
    // Not every driver knows jobs, and what is off has none.
    const bool none = absl::IsUnimplemented(status) || absl::IsFailedPrecondition(status);
    return none ? absl::StatusOr<bool>(false) : status;
  }
  const absl::Cleanup free_them = [&] { virTypedParamsFree(parameters, count); };
  int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;
  const bool told =
      virTypedParamsGetInt(parameters, count, VIR_DOMAIN_JOB_OPERATION, &operation) > 0;
  const bool runs = type == VIR_DOMAIN_JOB_BOUNDED || type == VIR_DOMAIN_JOB_UNBOUNDED;
  return runs && told && operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
}

// nullopt: not ours. NOT_FOUND: gone meanwhile.
absl::StatusOr<std::optional<DomainInfo>> ReadInfo(virDomainPtr domain) {
  ASSIGN_OR_RETURN(const std::optional<DomainTag> tag, ReadTag(domain));
  if (!tag) return std::optional<DomainInfo>();
  ASSIGN_OR_RETURN(DomainXmlFacts facts, ReadFacts(domain));
  ASSIGN_OR_RETURN(const DomainState state, ReadState(domain));
  DomainInfo info;
  info.tag = *tag;
  info.uuid = std::move(facts.uuid);
  info.power = state.power;
  info.out_of_room = state.out_of_room;
  info.memory_mib = facts.memory_mib;
  info.vcpus = facts.vcpus;
  info.disk = std::move(facts.disk);
  info.guest_agent = facts.guest_agent;
  info.guest_agent_connected = facts.guest_agent_connected;
  const bool movable = facts.shared_disk && info.power != DomainPower::kOff;
  if (movable) {
    ASSIGN_OR_RETURN(info.moving, IsBeingMoved(domain));
  }
  return std::optional<DomainInfo>(std::move(info));
}

// nullopt: not ours.
std::optional<DomainInfo> UnreadInfo(virDomainPtr domain, const absl::Status& why) {
  const std::optional<std::string> desktop = DesktopOf(virDomainGetName(domain));
  if (!desktop) return std::nullopt;
  DomainInfo info;
  info.tag.desktop = *desktop;
  info.unread = std::string(why.message());
  return info;
}

}  // namespace

absl::StatusOr<std::vector<DomainInfo>> ReadInfos(virConnectPtr connection) {
  virDomainPtr* found = nullptr;
  const int count =
      virConnectListAllDomains(connection, &found, VIR_CONNECT_LIST_DOMAINS_PERSISTENT);
  if (count < 0) return LastLibvirtStatus("cannot list the domains");
  std::vector<DomainHandle> domains;
  domains.reserve(count);
  for (int i = 0; i < count; ++i) domains.emplace_back(found[i]);
  free(found);
  std::vector<DomainInfo> infos;
  for (const DomainHandle& domain : domains) {
    absl::StatusOr<std::optional<DomainInfo>> info = ReadInfo(domain.get());
    if (absl::IsNotFound(info.status())) continue;
    if (!info.ok()) {
      if (virConnectIsAlive(connection) != 1) return info.status();
      info = UnreadInfo(domain.get(), info.status());
    }
    if (info->has_value()) infos.push_back(**std::move(info));
  }
  std::sort(infos.begin(), infos.end(),
            [](const DomainInfo& a, const DomainInfo& b) { return a.tag.desktop < b.tag.desktop; });
  return infos;
}

absl::Status CreateDomain(virConnectPtr connection, const DomainSpec& spec,
                          const DomainPlatform& platform) {
  const std::string& desktop = spec.tag.desktop;
  DomainHandle there(virDomainLookupByName(connection, DomainNameOf(desktop).c_str()));
  if (there != nullptr) {
    // Defining over it would change a stranger's domain.
    ASSIGN_OR_RETURN(const std::optional<DomainTag> tag, ReadTag(there.get()));
    const std::string message = absl::StrCat("a domain '", DomainNameOf(desktop), "' is there");
    return tag ? absl::AlreadyExistsError(message)
               : absl::FailedPreconditionError(
                     absl::StrCat(message, " and is not one of Werkplek's; remove or rename it"));
  }
  virResetLastError();
  const std::string xml = BuildDomainXml(spec, platform);
  DomainHandle domain(virDomainDefineXMLFlags(connection, xml.c_str(), 0));
  if (domain == nullptr) return LastLibvirtStatus(absl::StrCat("cannot define ", desktop));
  if (virDomainCreateWithFlags(domain.get(), 0) < 0) {
    absl::Status status = LastLibvirtStatus(absl::StrCat("cannot start ", desktop));
    if (virDomainUndefineFlags(domain.get(), 0) < 0) virResetLastError();
    return status;
  }
  return absl::OkStatus();
}

absl::Status StartDomain(virDomainPtr domain) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  if (power == DomainPower::kRunning) return absl::OkStatus();
  if (power == DomainPower::kSuspended) return WrongPower("it is suspended in memory: resume it");
  ASSIGN_OR_RETURN(const std::optional<DomainTag> tag, ReadTag(domain));
  RETURN_IF_ERROR(Checked(virDomainCreateWithFlags(domain, 0), "cannot start"));
  // A restored domain's live description is as old as the save.
  return power == DomainPower::kSaved && tag ? WriteTag(domain, *tag) : absl::OkStatus();
}

absl::Status SuspendDomain(virDomainPtr domain, bool to_disk) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  switch (power) {
    case DomainPower::kOff:
      return WrongPower("it is off");
    case DomainPower::kSaved:
      return to_disk ? absl::OkStatus() : WrongPower("it is saved to disk: start it");
    case DomainPower::kSuspended:
      if (!to_disk) return absl::OkStatus();
      break;
    case DomainPower::kRunning:
      break;
  }
  if (!to_disk) return Checked(virDomainSuspend(domain), "cannot suspend");
  return Checked(virDomainManagedSave(domain, VIR_DOMAIN_SAVE_RUNNING), "cannot save to disk");
}

absl::Status ResumeDomain(virDomainPtr domain) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  if (power == DomainPower::kRunning) return absl::OkStatus();
  if (power != DomainPower::kSuspended)
    return WrongPower("it is not suspended in memory: start it");
  return Checked(virDomainResume(domain), "cannot resume");
}

absl::Status ShutdownDomain(virDomainPtr domain, ShutdownMode mode) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  if (power == DomainPower::kOff) return absl::OkStatus();
  if (mode == ShutdownMode::kPowerOff) {
    if (power == DomainPower::kSaved) {
      return Checked(virDomainManagedSaveRemove(domain, 0), "cannot drop the saved memory");
    }
    return Checked(virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_DEFAULT), "cannot power off");
  }
  if (power != DomainPower::kRunning) return WrongPower("only a running desktop can shut down");
  if (mode == ShutdownMode::kGuestAgent) return ShutdownByGuest(domain);
  return Checked(virDomainShutdownFlags(domain, VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
                 "cannot press the power button");
}

absl::Status DestroyDomain(virConnectPtr connection, const std::string& desktop,
                           const std::string& uuid) {
  const DomainHandle domain(virDomainLookupByUUIDString(connection, uuid.c_str()));
  if (domain == nullptr) {
    const absl::Status status = LastLibvirtStatus("cannot find the domain");
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }
  if (DomainNameOf(desktop) != virDomainGetName(domain.get()) ||
      virDomainIsActive(domain.get()) == 0) {
    virResetLastError();
    return absl::OkStatus();
  }
  if (virDomainDestroyFlags(domain.get(), VIR_DOMAIN_DESTROY_DEFAULT) == 0) return absl::OkStatus();
  const absl::Status status = LastLibvirtStatus("cannot power off");
  const bool gone = virDomainIsActive(domain.get()) == 0;
  virResetLastError();
  return gone ? absl::OkStatus() : status;
}

absl::Status MigrateDomain(virDomainPtr domain, const std::string& uri, bool tls) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  if (power == DomainPower::kOff) return WrongPower("it is off: there is nothing to move");
  ASSIGN_OR_RETURN(const DomainXmlFacts facts, ReadFacts(domain));
  if (!facts.shared_disk) return WrongPower("its disk was not opened for a shared storage");
  ASSIGN_OR_RETURN(const bool moving, IsBeingMoved(domain));
  if (moving) return absl::AbortedError("a move of it is under way already");
  // Only memory can go: what was saved to this host's disk is restored, but does not run here.
  if (power == DomainPower::kSaved) {
    RETURN_IF_ERROR(Checked(virDomainCreateWithFlags(domain, VIR_DOMAIN_START_PAUSED),
                            "cannot restore for the move"));
  }
  // Safe by what libvirt cannot see: the storage is known by its id on both hosts, and nothing of
  // the disk is in this host's cache. It believes a few kinds of file systems only.
  unsigned flags = VIR_MIGRATE_UNSAFE | VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER |
                   VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE |
                   VIR_MIGRATE_AUTO_CONVERGE | VIR_MIGRATE_ABORT_ON_ERROR;
  if (tls) flags |= VIR_MIGRATE_TLS;
  virTypedParameterPtr parameters = nullptr;
  int count = 0, room = 0;
  const absl::Cleanup free_them = [&] { virTypedParamsFree(parameters, count); };
  // QEMU's own connection goes to the same address: the other host's idea of its name may mean
  // nothing here.
  const std::string data_uri = absl::StrCat("tcp://", HostOfMigrationUri(uri));
  if (virTypedParamsAddString(&parameters, &count, &room, VIR_MIGRATE_PARAM_URI, data_uri.c_str()) <
      0) {
    return LastLibvirtStatus("cannot move");
  }
  return Checked(
      virDomainMigrateToURI3(domain, uri.c_str(), parameters, static_cast<unsigned>(count), flags),
      absl::StrCat("cannot move to ", uri));
}

absl::Status AbortJob(virDomainPtr domain) {
  return Checked(virDomainAbortJob(domain), "cannot call off");
}

absl::Status RemoveDomain(virDomainPtr domain) {
  ASSIGN_OR_RETURN(const DomainPower power, ReadPower(domain));
  if (power == DomainPower::kRunning || power == DomainPower::kSuspended) {
    return WrongPower("it is not off");
  }
  return Checked(virDomainUndefineFlags(domain, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE),
                 "cannot undefine");
}

}  // namespace werkplek
