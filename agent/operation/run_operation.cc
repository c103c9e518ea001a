#include "agent/operation/run_operation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"
#include "common/base/text.h"

namespace werkplek {
namespace {

constexpr absl::Duration kBeginTimeout = absl::Seconds(15);
constexpr absl::Duration kEndTimeout = absl::Seconds(10);
constexpr absl::Duration kReadTimeout = absl::Seconds(4);
constexpr size_t kMaxToldOutput = 200;
constexpr size_t kMaxBootIdBytes = 64;
constexpr char kBootIdFile[] = "/proc/sys/kernel/random/boot_id";

absl::Status UnlessNotFound(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

// As random(4) writes it; whatever else a guest gives for it is none.
std::string BootIdIn(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  const bool good =
      text.size() <= kMaxBootIdBytes && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
      });
  return good ? std::string(text) : "";
}

// One line of the hook's input: nothing in a value ends the line.
std::string Line(absl::string_view key, std::string value) {
  std::replace_if(
      value.begin(), value.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, ' ');
  return absl::StrCat(key, "=", value, "\n");
}

absl::StatusOr<GuestExecResult> CallHook(Hypervisor& hypervisor, const std::string& desktop,
                                         const std::string& what, const std::string& input,
                                         absl::Duration timeout) {
  ASSIGN_OR_RETURN(GuestExecResult done,
                   hypervisor.GuestExec(desktop, {kSessionHook, what}, input, timeout));
  if (done.exit_code == 0) return done;
  const absl::string_view output = absl::StripAsciiWhitespace(done.output);
  return absl::InternalError(absl::StrCat("session-hook ", what, " in the guest ended with ",
                                          done.exit_code, ": ",
                                          PrintableText(output, kMaxToldOutput)));
}

// The domain is gone afterwards, whatever state it was in.
absl::Status TearDown(Hypervisor& hypervisor, const std::string& desktop) {
  // Fails for a domain that is off; one that still runs makes Remove fail, and says why.
  hypervisor.Shutdown(desktop, ShutdownMode::kPowerOff).IgnoreError();
  return UnlessNotFound(hypervisor.Remove(desktop));
}

// Right before anything is made to run.
absl::Status InTime(const Operation& operation, const MonotonicClock& now) {
  if (now() <= operation.not_after) return absl::OkStatus();
  return absl::AbortedError("it took too long: the fence may count on it not to run");
}

DiskKey KeyOf(const DomainTag& tag) { return {tag.desktop, tag.generation, tag.storage, tag.kept}; }

DomainSpec SpecOf(const Operation& operation, const std::string& disk) {
  DomainSpec spec;
  spec.tag = operation.tag;
  spec.tag.session.clear();
  spec.uuid = operation.uuid;
  spec.memory_mib = operation.spec.memory_mib();
  spec.vcpus = operation.spec.vcpus();
  spec.disk = disk;
  spec.shared_disk = !operation.tag.storage.empty();
  spec.network = operation.network;
  spec.kernel = operation.image.kernel();
  spec.initrd = operation.image.initrd();
  spec.kernel_arguments = operation.image.kernel_arguments();
  spec.guest_agent = operation.image.guest_agent();
  return spec;
}

absl::StatusOr<DomainTag> CreateDesktop(const Operation& operation, Hypervisor& hypervisor,
                                        const ImageFunctions& images, const MonotonicClock& now) {
  RETURN_IF_ERROR(TearDown(hypervisor, operation.desktop));
  const DiskKey key = KeyOf(operation.tag);
  absl::StatusOr<Overlay> overlay = images.create_overlay(key, operation.image.sha256());
  if (absl::IsNotFound(overlay.status())) {
    // Another host let the image go meanwhile, or its file is not as it was.
    RETURN_IF_ERROR(images.fetch(key.storage, operation.image_name, operation.image));
    overlay = images.create_overlay(key, operation.image.sha256());
  }
  RETURN_IF_ERROR(overlay.status());
  DomainSpec spec = SpecOf(operation, overlay->path);
  spec.tag.overlay_identity = overlay->identity;
  spec.tag.overlay_created_unix_ns = overlay->created_unix_ns;
  spec.tag.backing_sha256 = overlay->backing_sha256;
  spec.tag.used = false;
  RETURN_IF_ERROR(InTime(operation, now));
  RETURN_IF_ERROR(hypervisor.Create(spec));
  // After the new one is made: two overlays of a desktop never share an inode.
  RETURN_IF_ERROR(images.remove_overlays(key, overlay->path));
  return spec.tag;
}

absl::StatusOr<DomainTag> StartKeptDesktop(const Operation& operation, Hypervisor& hypervisor,
                                           const ImageFunctions& images,
                                           const MonotonicClock& now) {
  // First: a host whose deed is overtaken keeps its domain, with what its tag says.
  ASSIGN_OR_RETURN(const std::string disk, images.take_disk(KeyOf(operation.tag)));
  RETURN_IF_ERROR(TearDown(hypervisor, operation.desktop));
  const DomainSpec spec = SpecOf(operation, disk);
  RETURN_IF_ERROR(InTime(operation, now));
  RETURN_IF_ERROR(hypervisor.Create(spec));
  return spec.tag;
}

absl::Status StartDesktop(const Operation& operation, Hypervisor& hypervisor,
                          const ImageFunctions& images, const MonotonicClock& now) {
  if (!operation.tag.storage.empty()) {
    RETURN_IF_ERROR(images.take_disk(KeyOf(operation.tag)).status());
  }
  RETURN_IF_ERROR(InTime(operation, now));
  return hypervisor.Start(operation.desktop);
}

absl::Status ResumeDesktop(const Operation& operation, Hypervisor& hypervisor,
                           const MonotonicClock& now) {
  RETURN_IF_ERROR(InTime(operation, now));
  return hypervisor.Resume(operation.desktop);
}

absl::Status RemoveDesktop(const Operation& operation, Hypervisor& hypervisor,
                           const ImageFunctions& images) {
  RETURN_IF_ERROR(TearDown(hypervisor, operation.desktop));
  DiskKey key = KeyOf(operation.tag);
  for (const std::string& storage : operation.storages) {
    key.storage = storage;
    RETURN_IF_ERROR(images.remove_overlays(key, ""));
  }
  key.storage.clear();
  return images.remove_overlays(key, "");
}

// Whether the desktop's machine is certainly here, and stays: it runs, or stands still.
absl::StatusOr<bool> StaysHere(Hypervisor& hypervisor, const std::string& desktop) {
  ASSIGN_OR_RETURN(const std::vector<DomainInfo> domains, hypervisor.List());
  return std::any_of(domains.begin(), domains.end(), [&](const DomainInfo& info) {
    return info.tag.desktop == desktop && !info.moving && info.power != DomainPower::kOff;
  });
}

absl::Status MoveDesktop(const Operation& operation, Hypervisor& hypervisor,
                         const ImageFunctions& images, const MonotonicClock& now) {
  RETURN_IF_ERROR(BeforeMove(operation, hypervisor, images, now));
  const absl::Status moved = hypervisor.Migrate(operation.desktop, operation.migration_uri);
  return AfterMove(operation, moved, hypervisor, images);
}

absl::Status MarkFenced(const Operation& operation, Hypervisor& hypervisor) {
  DomainTag tag = operation.tag;
  tag.fenced = true;
  return hypervisor.Retag(tag);
}

absl::Status MarkUsed(const Operation& operation, Hypervisor& hypervisor) {
  DomainTag tag = operation.tag;
  tag.used = true;
  return hypervisor.Retag(tag);
}

absl::Status BeginSession(const Operation& operation, Hypervisor& hypervisor) {
  // In this order a crash leaves a used desktop without a session, never a told one unmarked.
  DomainTag tag = operation.tag;
  tag.used = true;
  RETURN_IF_ERROR(hypervisor.Retag(tag));
  if (operation.tell_guest) {
    const std::string input =
        absl::StrCat(Line("session", operation.session), Line("user", operation.user),
                     Line("display_name", operation.display_name));
    RETURN_IF_ERROR(
        CallHook(hypervisor, operation.desktop, "begin", input, kBeginTimeout).status());
  }
  tag.session = operation.session;
  return hypervisor.Retag(tag);
}

absl::Status EndSession(const Operation& operation, Hypervisor& hypervisor) {
  if (operation.tell_guest) {
    // A guest that cannot be told keeps nobody's session open: what is left there goes with the
    // overlay.
    CallHook(hypervisor, operation.desktop, "end", Line("session", operation.session), kEndTimeout)
        .status()
        .IgnoreError();
  }
  DomainTag tag = operation.tag;
  tag.session.clear();
  return hypervisor.Retag(tag);
}

absl::StatusOr<GuestReading> ReadGuest(const Operation& operation, Hypervisor& hypervisor) {
  const absl::StatusOr<GuestExecResult> state =
      CallHook(hypervisor, operation.desktop, "state", "", kReadTimeout);
  if (state.ok()) {
    GuestReading reading = ParseGuestReading(state->output);
    if (!reading.boot_id.empty()) return reading;
  } else if (absl::IsUnavailable(state.status()) || absl::IsDeadlineExceeded(state.status())) {
    return state.status();
  }
  // An agent without our hook: its boot id is proof enough that it answers.
  ASSIGN_OR_RETURN(
      const GuestExecResult boot,
      hypervisor.GuestExec(operation.desktop, {"/bin/cat", kBootIdFile}, "", kReadTimeout));
  GuestReading reading;
  reading.boot_id = BootIdIn(boot.output);
  if (reading.boot_id.empty()) return absl::UnavailableError("the guest tells no boot id");
  reading.state = v1::GUEST_STATE_UP;
  return reading;
}

}  // namespace

absl::Status BeforeMove(const Operation& operation, Hypervisor& hypervisor,
                        const ImageFunctions& images, const MonotonicClock& now) {
  RETURN_IF_ERROR(InTime(operation, now));
  ASSIGN_OR_RETURN(const bool stays, StaysHere(hypervisor, operation.desktop));
  // The deed of one that is on its way is where it will arrive.
  if (!stays) return absl::FailedPreconditionError("it does not run here, or is being moved");
  // Before it goes: from here on nothing that comes late to this host may touch the disk.
  return images.hand_over(KeyOf(operation.tag), operation.move_to);
}

absl::Status AfterMove(const Operation& operation, const absl::Status& moved,
                       Hypervisor& hypervisor, const ImageFunctions& images) {
  if (moved.ok() || !StaysHere(hypervisor, operation.desktop).value_or(false)) return moved;
  RETURN_IF_ERROR(images.take_back(KeyOf(operation.tag)));
  return moved;
}

GuestReading ParseGuestReading(const std::string& output) {
  GuestReading reading;
  reading.state = v1::GUEST_STATE_UP;
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view value = absl::StripAsciiWhitespace(field.second);
    if (field.first == "boot_id") reading.boot_id = BootIdIn(value);
    if (field.first == "session") reading.session = std::string(value.substr(0, 256));
    if (field.first == "state" && value == "session") reading.state = v1::GUEST_STATE_SESSION;
    if (field.first == "state" && value == "logged-out") {
      reading.state = v1::GUEST_STATE_LOGGED_OUT;
    }
  }
  return reading;
}

OperationResult RunOperation(const Operation& operation, Hypervisor& hypervisor,
                             const ImageFunctions& images, const MonotonicClock& now) {
  OperationResult result;
  result.id = operation.id;
  switch (operation.kind) {
    case OperationKind::kCreate:
    case OperationKind::kStartKept: {
      absl::StatusOr<DomainTag> tag = operation.kind == OperationKind::kCreate
                                          ? CreateDesktop(operation, hypervisor, images, now)
                                          : StartKeptDesktop(operation, hypervisor, images, now);
      result.status = tag.status();
      if (tag.ok()) {
        result.tag = *std::move(tag);
      } else if (operation.kind == OperationKind::kCreate) {
        // It may be for want of the image, of which the core then knows.
        result.images = images.report(operation.tag.storage);
      }
      break;
    }
    case OperationKind::kStart:
      result.status = StartDesktop(operation, hypervisor, images, now);
      break;
    case OperationKind::kSuspend:
      result.status = hypervisor.Suspend(operation.desktop, operation.to_disk);
      break;
    case OperationKind::kResume:
      result.status = ResumeDesktop(operation, hypervisor, now);
      break;
    case OperationKind::kShutdown:
      result.status = hypervisor.Shutdown(operation.desktop, operation.mode);
      break;
    case OperationKind::kRemove:
      result.status = RemoveDesktop(operation, hypervisor, images);
      break;
    case OperationKind::kKill:
      result.status = hypervisor.Kill(operation.desktop, operation.uuid);
      break;
    case OperationKind::kMarkFenced:
      result.status = MarkFenced(operation, hypervisor);
      break;
    case OperationKind::kMigrate:
      result.status = MoveDesktop(operation, hypervisor, images, now);
      break;
    case OperationKind::kMarkUsed:
      result.status = MarkUsed(operation, hypervisor);
      break;
    case OperationKind::kBeginSession:
      result.status = BeginSession(operation, hypervisor);
      break;
    case OperationKind::kEndSession:
      result.status = EndSession(operation, hypervisor);
      break;
    case OperationKind::kReadGuest: {
      absl::StatusOr<GuestReading> reading = ReadGuest(operation, hypervisor);
      result.status = reading.status();
      if (reading.ok()) result.guest = *std::move(reading);
      break;
    }
    case OperationKind::kFetchImage:
      result.status = images.fetch(operation.storage, operation.image_name, operation.image);
      result.images = images.report(operation.storage);
      break;
    case OperationKind::kDropImage:
      result.status = images.drop(operation.storage, operation.image_name);
      result.images = images.report(operation.storage);
      break;
  }
  return result;
}

}  // namespace werkplek
