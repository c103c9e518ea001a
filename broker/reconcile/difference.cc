#include "broker/reconcile/difference.h"

#include "absl/strings/str_cat.h"
#include "broker/model/kept.h"

namespace werkplek {
namespace {

Difference Command(v1::CommandVerb verb) { return {Finding::kCommand, verb, ""}; }
Difference InUse() { return {Finding::kInUse, v1::COMMAND_UNSPECIFIED, ""}; }

v1::CommandVerb StartVerb(const v1::Desktop& desktop, v1::PoolKind kind) {
  const bool first =
      kind == v1::POOL_KIND_DEDICATED && desktop.state() == v1::DESKTOP_STATE_PROVISIONING;
  const bool reset = first || desktop.state() == v1::DESKTOP_STATE_RESETTING;
  return reset ? v1::COMMAND_RESET : v1::COMMAND_START;
}

bool IsStartVerb(v1::CommandVerb verb) {
  return verb == v1::COMMAND_START || verb == v1::COMMAND_RESET ||
         verb == v1::COMMAND_FETCH_IMAGE || verb == v1::COMMAND_RESUME;
}

// Only after its session was committed a desktop is opened to a person.
bool WasOpened(const v1::DesktopReport& report) {
  return report.used() || !report.session().empty();
}

// A disk of a dedicated pool that the broker takes for nobody's, and that is somebody's. To be
// removed it is by an administrator's word, unless that was given of another generation.
bool IsSomebodys(const v1::Desktop& desktop, const v1::DesktopReport& report, v1::PoolKind kind) {
  const bool disk_is_kept = report.kept() || kind == v1::POOL_KIND_DEDICATED;
  if (!disk_is_kept || IsKept(desktop)) return false;
  if (report.generation() > desktop.generation()) return true;
  return WasOpened(report) && desktop.state() != v1::DESKTOP_STATE_STOPPING;
}

Difference CompareStarting(const v1::Desktop& desktop, const v1::DesktopReport* report,
                           const v1::Image* image, v1::PoolKind kind) {
  if (report == nullptr || report->generation() < desktop.generation()) {
    if (report != nullptr && report->operation() != v1::COMMAND_UNSPECIFIED) return {};
    return Command(StartVerb(desktop, kind));
  }
  if (report->fenced()) {
    return {Finding::kStartFailed, v1::COMMAND_UNSPECIFIED,
            "the agent stopped it by itself: it heard no broker for too long"};
  }
  if (!report->error().empty() && IsStartVerb(report->failed_verb())) {
    return {Finding::kStartFailed, v1::COMMAND_UNSPECIFIED, report->error()};
  }
  if (report->operation() != v1::COMMAND_UNSPECIFIED) return {};
  if (!IsKept(desktop) && WasOpened(*report)) return InUse();
  if (report->power() != v1::POWER_RUNNING) return Command(StartVerb(desktop, kind));
  const bool kept = IsKept(desktop) && desktop.state() == v1::DESKTOP_STATE_STARTING;
  if (kept) {
    const bool waits =
        image != nullptr && image->guest_agent() && report->guest() == v1::GUEST_STATE_UNKNOWN;
    return waits ? Difference() : Difference{Finding::kRuns, v1::COMMAND_UNSPECIFIED, ""};
  }
  if (image == nullptr) return {};
  if (image->guest_agent() && report->guest() == v1::GUEST_STATE_UNKNOWN) return {};
  // The proof may come a report later than the power.
  if (report->proof().generation() != desktop.generation()) return {};
  std::string fault = ProofFault(desktop, report->proof(), *image);
  if (fault.empty()) return {Finding::kProved, v1::COMMAND_UNSPECIFIED, ""};
  return {Finding::kStartFailed, v1::COMMAND_UNSPECIFIED, std::move(fault)};
}

Difference ComparePower(const v1::Desktop& desktop, const v1::DesktopReport& report) {
  if (report.operation() != v1::COMMAND_UNSPECIFIED) return {};
  const bool want_suspended = desktop.wanted_power() == v1::POWER_SUSPENDED;
  if (want_suspended && report.power() == v1::POWER_RUNNING) return Command(v1::COMMAND_SUSPEND);
  if (!want_suspended && report.power() == v1::POWER_SUSPENDED) return Command(v1::COMMAND_RESUME);
  return {};
}

// A kept desktop that is to be off, whatever generation of it is there.
Difference CompareOff(const v1::DesktopReport* report) {
  if (report == nullptr || report->power() == v1::POWER_OFF ||
      report->operation() != v1::COMMAND_UNSPECIFIED) {
    return {};
  }
  return Command(v1::COMMAND_STOP);
}

bool IsOff(const v1::DesktopReport& report) {
  return report.power() == v1::POWER_OFF && report.operation() == v1::COMMAND_UNSPECIFIED;
}

}  // namespace

std::string ProofFault(const v1::Desktop& desktop, const v1::ProofOfCleanness& proof,
                       const v1::Image& image) {
  if (proof.generation() != desktop.generation()) {
    return absl::StrCat("the proof of cleanness is for generation ", proof.generation(), ", not ",
                        desktop.generation());
  }
  if (proof.backing_sha256() != image.sha256()) {
    return "the proof of cleanness names another image than the declared one";
  }
  if (proof.overlay_identity().empty()) return "the proof of cleanness names no overlay";
  const v1::ProofOfCleanness& last = desktop.proof();
  const bool same = last.overlay_identity() == proof.overlay_identity() &&
                    last.overlay_created_unix_ns() == proof.overlay_created_unix_ns();
  if (last.generation() == proof.generation()) {
    return same ? "" : "the overlay was exchanged within a generation";
  }
  return same ? "the overlay of an earlier generation is in use again" : "";
}

Difference Compare(const v1::Desktop& desktop, const v1::DesktopReport* report,
                   const v1::Image* image, v1::PoolKind kind) {
  if (report != nullptr && IsSomebodys(desktop, *report, kind)) {
    return {Finding::kSomebodys, v1::COMMAND_UNSPECIFIED, ""};
  }
  if (report != nullptr && report->generation() > desktop.generation()) {
    return {Finding::kAhead, v1::COMMAND_UNSPECIFIED, ""};
  }
  const bool there = report != nullptr && report->generation() == desktop.generation();
  switch (desktop.state()) {
    case v1::DESKTOP_STATE_PROVISIONING:
    case v1::DESKTOP_STATE_STARTING:
    case v1::DESKTOP_STATE_RESETTING:
      return CompareStarting(desktop, report, image, kind);
    case v1::DESKTOP_STATE_OFF:
      return CompareOff(report);
    case v1::DESKTOP_STATE_READY:
      if (!there) return {Finding::kSpareGone, v1::COMMAND_UNSPECIFIED, ""};
      if (!IsKept(desktop) && WasOpened(*report)) return InUse();
      if (IsOff(*report)) return {Finding::kSpareOff, v1::COMMAND_UNSPECIFIED, ""};
      return ComparePower(desktop, *report);
    case v1::DESKTOP_STATE_ASSIGNED:
      if (!there) return {Finding::kSessionGone, v1::COMMAND_UNSPECIFIED, ""};
      if (IsOff(*report)) return {Finding::kSessionOff, v1::COMMAND_UNSPECIFIED, ""};
      return ComparePower(desktop, *report);
    case v1::DESKTOP_STATE_STOPPING:
      if (report == nullptr) return {Finding::kRemoved, v1::COMMAND_UNSPECIFIED, ""};
      return report->operation() == v1::COMMAND_REMOVE ? Difference{} : Command(v1::COMMAND_REMOVE);
    case v1::DESKTOP_STATE_LOST:
      return {Finding::kReturned, v1::COMMAND_UNSPECIFIED, ""};
    default:
      return {};
  }
}

}  // namespace werkplek
