#include "agent/hypervisor/libvirt_event_loop.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>

#include <atomic>
#include <thread>

#include "common/base/log.h"
#include "common/base/mutex.h"

namespace werkplek {
namespace {

// libvirt prints each error to standard error by default; ours come back as statuses.
void IgnoreError(void*, virErrorPtr) {}

void RegisterOnce() {
  static const bool registered = [] {
    virSetErrorFunc(nullptr, IgnoreError);
    return virEventRegisterDefaultImpl() == 0;
  }();
  if (!registered) Log(Severity::kError, "libvirt-event-loop", {{"error", "cannot register"}});
}

}  // namespace

struct LibvirtEventLoop::State {
  std::atomic<bool> stopping{false};
  int wake_timer = -1;
  std::thread thread;
};

std::shared_ptr<LibvirtEventLoop> LibvirtEventLoop::Acquire() {
  static Mutex& mutex = *new Mutex;
  static std::weak_ptr<LibvirtEventLoop>& running = *new std::weak_ptr<LibvirtEventLoop>;
  MutexLock lock(mutex);
  std::shared_ptr<LibvirtEventLoop> loop = running.lock();
  if (loop == nullptr) {
    loop.reset(new LibvirtEventLoop);
    running = loop;
  }
  return loop;
}

LibvirtEventLoop::LibvirtEventLoop() : state_(std::make_unique<State>()) {
  RegisterOnce();
  // Disabled; its arming ends a wait of the loop.
  state_->wake_timer = virEventAddTimeout(
      -1, [](int, void*) {}, nullptr, nullptr);
  state_->thread = std::thread([state = state_.get()] {
    while (!state->stopping) {
      if (virEventRunDefaultImpl() < 0) virResetLastError();
    }
  });
  pthread_setname_np(state_->thread.native_handle(), "libvirt-events");
}

LibvirtEventLoop::~LibvirtEventLoop() {
  state_->stopping = true;
  virEventUpdateTimeout(state_->wake_timer, 0);
  state_->thread.join();
  virEventRemoveTimeout(state_->wake_timer);
}

}  // namespace werkplek
