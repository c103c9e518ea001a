// The only type that knows how a desktop's virtual machine is run. One implementation on libvirt,
// one fake (tests/support/fake_hypervisor.h), one contract suite.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace werkplek {

enum class DomainPower { kOff, kRunning, kSuspended, kSaved };

// What the agent writes into a domain's metadata, and reads back after a restart.
struct DomainTag {
  std::string desktop;
  std::string pool;
  std::string image;
  uint64_t generation = 0;
  // The proof's parts that are fixed when the overlay is made.
  std::string overlay_identity;
  int64_t overlay_created_unix_ns = 0;
  std::string backing_sha256;
  // The session that the guest was last told of; empty: none.
  std::string session;
  // Whether a session was ever begun on this generation.
  bool used = false;
  // The disk is its owner's and outlives generations.
  bool kept = false;
  // Stopped by the agent itself when it hears no leader in time.
  bool fencing_required = false;
  // The agent did so: this generation runs no more.
  bool fenced = false;
  // The shared storage that holds the disk; empty: the host's own.
  std::string storage;
  // The network that its card is in; empty: it has none.
  std::string network;
};

// A network of this host that desktops may have a card in.
struct HostNetwork {
  // As pools name it; the same on every host, whatever it is made of there.
  std::string name;
  // Exactly one of the two: a bridge of the host, or a network that libvirt defines.
  std::string bridge;
  std::string libvirt_network;
  // Through the bridge the host's desktops do not reach one another. Of a network of libvirt's its
  // own definition says it.
  bool isolated = true;
};

// What libvirt calls the network on all hosts between which desktops move.
inline std::string MovingNameOf(const std::string& network) {
  return absl::StrCat("werkplek-", network);
}

struct DomainSpec {
  DomainTag tag;
  std::string uuid;
  uint64_t memory_mib = 0;
  uint32_t vcpus = 1;
  // Absolute path of the qcow2 overlay.
  std::string disk;
  // Other hosts see the disk too: nothing of it may stay in this host's cache.
  bool shared_disk = false;
  // What `tag.network` is on this host. None: no card.
  std::optional<HostNetwork> network;
  // Direct kernel boot; empty: boot from the disk.
  std::string kernel;
  std::string initrd;
  std::string kernel_arguments;
  bool guest_agent = false;
};

// A domain of ours on this host. Domains without our metadata are never listed and never touched.
struct DomainInfo {
  DomainTag tag;
  std::string uuid;
  DomainPower power = DomainPower::kOff;
  uint64_t memory_mib = 0;
  uint32_t vcpus = 0;
  std::string disk;
  bool guest_agent = false;
  // The guest agent's channel is open at the moment.
  bool guest_agent_connected = false;
  // A move away from here is under way, whoever asked for it: until it is over nobody can tell
  // where the machine will be.
  bool moving = false;
  // QEMU stopped it by itself, since a write found no room where its disk is; it is kSuspended.
  bool out_of_room = false;
  // Why it could not be read; then only the tag's desktop is known. Empty: it was.
  std::string unread;
};

struct HostStats {
  uint64_t memory_total_mib = 0;
  uint64_t memory_free_mib = 0;
  uint32_t cpus = 0;
  // Share in use since the last call, 0 to 1.
  double cpu_used = 0;
  double memory_pressure = 0;
};

struct GuestExecResult {
  int exit_code = 0;
  std::string output;  // At most 64 KiB.
};

enum class ShutdownMode { kGuestAgent, kAcpi, kPowerOff };
enum class DisplayKind { kSpice, kVnc };

// Something happened to a domain; look at it again. `graphics` events tell when a display
// connection opened or closed; QEMU tells it of SPICE, and of VNC only where VNC has a listener.
struct HypervisorEvent {
  enum class Kind {
    kLifecycle,
    kGuestAgent,
    kGraphicsConnected,
    kGraphicsDisconnected,
    kConnectionLost
  };
  Kind kind = Kind::kLifecycle;
  std::string desktop;  // Empty for kConnectionLost.
};

// Thread-safe. Every call may block up to its own bound (30 s at most unless it says otherwise;
// DEADLINE_EXCEEDED then), so it belongs in a worker pool. UNAVAILABLE: no connection to libvirt;
// NOT_FOUND: no such desktop here.
class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  // A domain that cannot be read (`unread`) keeps nobody from the others.
  virtual absl::StatusOr<std::vector<DomainInfo>> List() = 0;
  // Defines the domain and starts it. ALREADY_EXISTS: a domain of that desktop is there.
  virtual absl::Status Create(const DomainSpec& spec) = 0;
  // Starts a domain that is off, or restores a saved one.
  virtual absl::Status Start(const std::string& desktop) = 0;
  // Pauses in memory, or saves to disk and frees the memory.
  virtual absl::Status Suspend(const std::string& desktop, bool to_disk) = 0;
  virtual absl::Status Resume(const std::string& desktop) = 0;
  // Asks, and returns at once; kPowerOff is done when it returns. kGuestAgent is UNAVAILABLE when
  // there is no agent to ask; OK says only that it was asked (or is off already).
  virtual absl::Status Shutdown(const std::string& desktop, ShutdownMode mode) = 0;
  // Undefines a domain that is off (with its saved memory). The disk is the image store's.
  virtual absl::Status Remove(const std::string& desktop) = 0;
  // Powers off at once, and waits for no other call on the desktop, nor long for a hypervisor that
  // hangs (10 s at most). OK when no machine of that UUID runs; saved memory stays.
  virtual absl::Status Kill(const std::string& desktop, const std::string& uuid) = 0;
  // Moves a running or suspended domain live to the hypervisor at `uri`, with its tag; one that is
  // saved is restored for that, and arrives suspended in memory. OK: it is there for good and gone
  // from here. DEADLINE_EXCEEDED (minutes; see the implementation) and UNAVAILABLE: List() tells
  // where it is. Any other error: it is here as it was, though what was saved may be suspended in
  // memory; FAILED_PRECONDITION: it is off; ABORTED: a move of it is under way already.
  virtual absl::Status Migrate(const std::string& desktop, const std::string& uri) = 0;
  virtual absl::Status Retag(const DomainTag& tag) = 0;
  // A connected stream socket to the domain's display; the caller owns it.
  virtual absl::StatusOr<int> OpenDisplay(const std::string& desktop, DisplayKind kind) = 0;
  // Runs a program in the guest through its agent. UNAVAILABLE: no agent answers.
  virtual absl::StatusOr<GuestExecResult> GuestExec(const std::string& desktop,
                                                    const std::vector<std::string>& command,
                                                    const std::string& input,
                                                    absl::Duration timeout) = 0;
  virtual absl::StatusOr<HostStats> Stats() = 0;
  // One listener; called on a thread of the hypervisor's. Replaces the one before.
  virtual void Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener) = 0;
};

}  // namespace werkplek
