// Runs one operation of the agent's core on the hypervisor and the images. Blocking: for a worker
// pool, or for a simulation with fakes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/agent_operation.h"
#include "agent/hypervisor/hypervisor.h"
#include "agent/image/image_store.h"
#include "agent/image/shared_storage.h"

namespace werkplek {

// What of the ImageStore an operation needs. Each function is thread-safe.
struct ImageFunctions {
  // `storage` is a shared storage's name, or empty for the host's own images.
  std::function<absl::Status(const std::string& storage, const std::string& name,
                             const v1::Image& image)>
      fetch;
  std::function<std::vector<v1::ImageReport>(const std::string& storage)> report;
  std::function<absl::StatusOr<Overlay>(const DiskKey& disk, const std::string& image_sha256)>
      create_overlay;
  // The path of the disk that is there, with the deed in this host's name. NOT_FOUND: there is
  // none. FAILED_PRECONDITION: the deed forbids it.
  std::function<absl::StatusOr<std::string>(const DiskKey& disk)> take_disk;
  // Every disk of the desktop in the storage but `except`; in a shared storage only those whose
  // deed is this host's and not newer than the key.
  std::function<absl::Status(const DiskKey& disk, const std::string& except)> remove_overlays;
  std::function<absl::Status(const std::string& storage, const std::string& name)> drop;
  // Content that nobody needs any more, of the host's own images and of shared storages. `now`: the
  // core's clock.
  std::function<void(absl::Duration now, const StopAsked& stop)> remove_leftovers;
  // The deed of a disk in a shared storage, of the key's generation, gets the host's name.
  std::function<absl::Status(const DiskKey& disk, const std::string& host)> hand_over;
  // ... and this host's again.
  std::function<absl::Status(const DiskKey& disk)> take_back;
};

// The stores' own functions; they must outlive them. `shared` by name.
ImageFunctions FunctionsOf(ImageStore& store,
                           const std::map<std::string, std::unique_ptr<SharedStorage>>& shared);

// The clock that the core is given.
using MonotonicClock = std::function<absl::Duration()>;

// The program in an image that Werkplek tells of sessions (deploy/images/README.md). It is run
// with `begin`, `end` or `state`, gets lines `key=value` on its input (begin: session, user,
// display_name; end: session), and is expected to exit with 0. `state` prints lines `key=value`:
// boot_id, session, state (`none`, `session` or `logged-out`).
inline constexpr char kSessionHook[] = "/usr/lib/werkplek/session-hook";

// Never throws, and answers every kind of operation; the result's id is the operation's.
OperationResult RunOperation(const Operation& operation, Hypervisor& hypervisor,
                             const ImageFunctions& images, const MonotonicClock& now);

// What a kMigrate operation does before and after Hypervisor::Migrate, for whoever does not block
// in between. A move whose first half failed is not begun; `moved` is Migrate's answer, and the
// second half's is the operation's.
absl::Status BeforeMove(const Operation& operation, Hypervisor& hypervisor,
                        const ImageFunctions& images, const MonotonicClock& now);
absl::Status AfterMove(const Operation& operation, const absl::Status& moved,
                       Hypervisor& hypervisor, const ImageFunctions& images);

// The hook's answer to `state`. Lines that are not understood are passed over.
GuestReading ParseGuestReading(const std::string& output);

}  // namespace werkplek
