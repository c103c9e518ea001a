// What the core asks to be done on the host, and what came of it. One operation of a desktop is
// under way at a time (and a kill beside it); agent/operation runs it on the Hypervisor and the
// ImageStore, blocking, in a worker pool.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/hypervisor/hypervisor.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

enum class OperationKind {
  // Whatever domain and overlays there are go; a new overlay, a domain on it, running.
  kCreate,
  // Whatever domain there is goes; a new one on the kept disk that is there, running.
  kStartKept,
  // From off, or from memory saved on disk.
  kStart,
  kSuspend,
  kResume,
  // One request of `mode`; kPowerOff is done when the operation is.
  kShutdown,
  // Powered off, undefined, overlays deleted.
  kRemove,
  // Powered off at once, beside any other operation of the desktop: the fence.
  kKill,
  // Writes `tag` with `fenced` set.
  kMarkFenced,
  // Live, to `move_to`; the disk's deed goes with it.
  kMigrate,
  // Writes `tag` with `used` set, before a display may open.
  kMarkUsed,
  // Writes `used`, tells the guest who comes, then writes the session.
  kBeginSession,
  // Tells the guest (where it can be told), then clears the session in the tag.
  kEndSession,
  // Reads boot id and session state through the guest agent.
  kReadGuest,
  kFetchImage,
  kDropImage,
};

// What the guest agent said. Empty boot id: it did not answer.
struct GuestReading {
  std::string boot_id;
  v1::GuestState state = v1::GUEST_STATE_UNKNOWN;
  // The session that the guest's hook was last told of; empty: none, or no hook.
  std::string session;
};

struct Operation {
  // Unique within one run of an agent.
  uint64_t id = 0;
  OperationKind kind = OperationKind::kReadGuest;
  // Empty for images.
  std::string desktop;
  // kCreate, kStartKept: what the new domain gets (the overlay's parts are filled in by the
  // operation). All others of a desktop: the domain's tag as it is now; without a domain, what is
  // known of it.
  DomainTag tag;
  // kCreate, kStartKept: of the new domain. kKill: of the one that is meant.
  std::string uuid;
  v1::DesktopSpec spec;
  // kCreate, kStartKept: what `spec.network` is on this host. None: no card.
  std::optional<HostNetwork> network;
  // kCreate, kStartKept, kFetchImage, kDropImage.
  std::string image_name;
  v1::Image image;
  // kFetchImage, kDropImage: the shared storage. Empty: the host's own images.
  std::string storage;
  // kRemove: shared storages to clear as well.
  std::vector<std::string> storages;
  // Nothing is made to run after this time of the core's clock: the fence may already count on it.
  absl::Duration not_after = absl::InfiniteDuration();
  // kMigrate: the host, and its hypervisor's URI.
  std::string move_to;
  std::string migration_uri;
  // kSuspend.
  bool to_disk = false;
  // kShutdown.
  ShutdownMode mode = ShutdownMode::kPowerOff;
  // kBeginSession, kEndSession.
  std::string session;
  std::string user;
  std::string display_name;
  // kBeginSession, kEndSession: the guest can be told.
  bool tell_guest = false;
};

// Whether it takes one of the few places for what loads the host: making, starting, saving and
// removing machines.
bool IsHeavy(OperationKind kind, bool to_disk);

struct OperationResult {
  uint64_t id = 0;
  absl::Status status;
  // kCreate, kStartKept, when OK: the tag with the overlay's parts.
  DomainTag tag;
  // kReadGuest, when OK.
  GuestReading guest;
  // kFetchImage and kDropImage, whatever the status, and kCreate that failed: every image at hand
  // or failed in the same storage.
  std::vector<v1::ImageReport> images;
};

}  // namespace werkplek
