#include "agent/operation/run_operation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/status_macros.h"

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
  return absl::InternalError(absl::StrCat("session-hook ", what, " in the guest ended with ",
                                          done.exit_code, ": ",
                                          done.output.substr(0, kMaxToldOutput)));
}

// The domain is gone afterwards, whatever state it was in.
absl::Status TearDown(Hypervisor& hypervisor, const std::string& desktop) {
  // Fails for a domain that is off; one that still runs makes Remove fail, and says why.
  hypervisor.Shutdown(desktop, ShutdownMode::kPowerOff).IgnoreError();
  return UnlessNotFound(hypervisor.Remove(desktop));
}

absl::StatusOr<DomainTag> CreateDesktop(const Operation& operation, Hypervisor& hypervisor,
                                        const ImageFunctions& images) {
  RETURN_IF_ERROR(TearDown(hypervisor, operation.desktop));
  ASSIGN_OR_RETURN(
      const Overlay overlay,
      images.create_overlay(operation.desktop, operation.tag.generation, operation.image.sha256()));
  DomainSpec spec;
  spec.tag = operation.tag;
  spec.tag.overlay_identity = overlay.identity;
  spec.tag.overlay_created_unix_ns = overlay.created_unix_ns;
  spec.tag.backing_sha256 = overlay.backing_sha256;
  spec.tag.session.clear();
  spec.tag.used = false;
  spec.uuid = operation.uuid;
  spec.memory_mib = operation.spec.memory_mib();
  spec.vcpus = operation.spec.vcpus();
  spec.disk = overlay.path;
  spec.kernel = operation.image.kernel();
  spec.initrd = operation.image.initrd();
  spec.kernel_arguments = operation.image.kernel_arguments();
  spec.guest_agent = operation.image.guest_agent();
  RETURN_IF_ERROR(hypervisor.Create(spec));
  // After the new one is made: two overlays of a desktop never share an inode.
  RETURN_IF_ERROR(images.remove_overlays(operation.desktop, overlay.path));
  return spec.tag;
}

absl::Status RemoveDesktop(const Operation& operation, Hypervisor& hypervisor,
                           const ImageFunctions& images) {
  RETURN_IF_ERROR(TearDown(hypervisor, operation.desktop));
  return images.remove_overlays(operation.desktop, "");
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
  reading.boot_id = std::string(absl::StripAsciiWhitespace(boot.output)).substr(0, kMaxBootIdBytes);
  if (reading.boot_id.empty()) return absl::UnavailableError("the guest tells no boot id");
  reading.state = v1::GUEST_STATE_UP;
  return reading;
}

}  // namespace

GuestReading ParseGuestReading(const std::string& output) {
  GuestReading reading;
  reading.state = v1::GUEST_STATE_UP;
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view value = absl::StripAsciiWhitespace(field.second);
    if (field.first == "boot_id") reading.boot_id = std::string(value.substr(0, kMaxBootIdBytes));
    if (field.first == "session") reading.session = std::string(value.substr(0, 256));
    if (field.first == "state" && value == "session") reading.state = v1::GUEST_STATE_SESSION;
    if (field.first == "state" && value == "logged-out") {
      reading.state = v1::GUEST_STATE_LOGGED_OUT;
    }
  }
  return reading;
}

OperationResult RunOperation(const Operation& operation, Hypervisor& hypervisor,
                             const ImageFunctions& images) {
  OperationResult result;
  result.id = operation.id;
  switch (operation.kind) {
    case OperationKind::kCreate: {
      absl::StatusOr<DomainTag> tag = CreateDesktop(operation, hypervisor, images);
      result.status = tag.status();
      if (tag.ok()) result.tag = *std::move(tag);
      break;
    }
    case OperationKind::kStart:
      result.status = hypervisor.Start(operation.desktop);
      break;
    case OperationKind::kSuspend:
      result.status = hypervisor.Suspend(operation.desktop, operation.to_disk);
      break;
    case OperationKind::kResume:
      result.status = hypervisor.Resume(operation.desktop);
      break;
    case OperationKind::kShutdown:
      result.status = hypervisor.Shutdown(operation.desktop, operation.mode);
      break;
    case OperationKind::kRemove:
      result.status = RemoveDesktop(operation, hypervisor, images);
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
      result.status = images.fetch(operation.image_name, operation.image);
      result.images = images.report();
      break;
    case OperationKind::kDropImage:
      result.status = images.drop(operation.image_name);
      result.images = images.report();
      break;
  }
  return result;
}

}  // namespace werkplek
