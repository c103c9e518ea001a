// One open connection to libvirt with its events; and the place where events of all connections of
// one hypervisor arrive.
#pragma once

#include <libvirt/libvirt.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "agent/hypervisor/hypervisor.h"
#include "agent/hypervisor/libvirt_event_loop.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"

namespace werkplek {

// Takes events from libvirt's thread and gives them to the listener on its own. libvirt's callbacks
// share it, so it outlives what is still on its way. Thread-safe.
class EventInbox {
 public:
  EventInbox() : loop_("hv-events") {}

  void Listen(absl::AnyInvocable<void(const HypervisorEvent&)> listener);
  // After it returns, the listener before is not running any more. Not from the listener.
  void Deliver(HypervisorEvent event);
  // Runs on the inbox's thread.
  void Post(absl::Duration delay, absl::AnyInvocable<void()> task);
  // No listener and no task runs after this.
  void Stop();

 private:
  Mutex mutex_;
  absl::AnyInvocable<void(const HypervisorEvent&)> listener_ ABSL_GUARDED_BY(mutex_);
  LoopExecutor loop_;
};

// Calls on `get()` are thread-safe (libvirt's promise).
class LibvirtConnection {
 public:
  // Blocks. `lost` is called on the inbox's thread when libvirt closes the connection.
  static absl::StatusOr<std::shared_ptr<LibvirtConnection>> Open(
      const std::string& uri, const std::shared_ptr<EventInbox>& inbox, std::function<void()> lost);
  ~LibvirtConnection();
  LibvirtConnection(const LibvirtConnection&) = delete;
  LibvirtConnection& operator=(const LibvirtConnection&) = delete;

  virConnectPtr get() const { return connection_; }
  // "QEMU", "TEST".
  const std::string& driver() const { return driver_; }

 private:
  LibvirtConnection() = default;
  void RegisterEvents(const std::shared_ptr<EventInbox>& inbox, std::function<void()> lost);

  // First, so that it stops last.
  std::shared_ptr<LibvirtEventLoop> event_loop_ = LibvirtEventLoop::Acquire();
  virConnectPtr connection_ = nullptr;
  std::string driver_;
  std::vector<int> callbacks_;
  // What the close callback is given. Ours to free: libvirt 9.0 forgets it when the callback is
  // unregistered. Null: the driver takes no close callback.
  std::shared_ptr<void> close_target_;
};

}  // namespace werkplek
