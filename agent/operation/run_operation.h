// Runs one operation of the agent's core on the hypervisor and the images. Blocking: for a worker
// pool, or for a simulation with fakes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/core/agent_operation.h"
#include "agent/hypervisor/hypervisor.h"
#include "agent/image/image_store.h"

namespace werkplek {

// What of the ImageStore an operation needs. Each function is thread-safe.
struct ImageFunctions {
  std::function<absl::Status(const std::string& name, const v1::Image& image)> fetch;
  std::function<std::vector<v1::ImageReport>()> report;
  std::function<absl::StatusOr<Overlay>(const std::string& desktop, uint64_t generation,
                                        const std::string& image_sha256)>
      create_overlay;
  std::function<absl::Status(const std::string& desktop, const std::string& except)>
      remove_overlays;
  std::function<absl::Status(const std::string& name)> drop;
};

// The store's own functions; it must outlive them.
ImageFunctions FunctionsOf(ImageStore& store);

// The program in an image that Werkplek tells of sessions (deploy/images/README.md). It is run
// with `begin`, `end` or `state`, gets lines `key=value` on its input (begin: session, user,
// display_name; end: session), and is expected to exit with 0. `state` prints lines `key=value`:
// boot_id, session, state (`none`, `session` or `logged-out`).
inline constexpr char kSessionHook[] = "/usr/lib/werkplek/session-hook";

// Never throws, and answers every kind of operation; the result's id is the operation's.
OperationResult RunOperation(const Operation& operation, Hypervisor& hypervisor,
                             const ImageFunctions& images);

// The hook's answer to `state`. Lines that are not understood are passed over.
GuestReading ParseGuestReading(const std::string& output);

}  // namespace werkplek
