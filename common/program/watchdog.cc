#include "common/program/watchdog.h"

#include <pthread.h>
#include <systemd/sd-daemon.h>

#include <utility>

#include "common/base/log.h"

namespace werkplek {

void TellSystemd(const std::string& state) { sd_notify(0, state.c_str()); }

Watchdog::Watchdog(absl::Duration interval, Probe probe, std::function<void(bool good)> told)
    : interval_(interval), probe_(std::move(probe)), told_(std::move(told)) {
  thread_ = std::thread([this] { Run(); });
}

Watchdog::~Watchdog() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

void Watchdog::Run() {
  pthread_setname_np(pthread_self(), "watchdog");
  for (;;) {
    const absl::Status status = probe_();
    if (status.ok()) {
      TellSystemd("WATCHDOG=1");
    } else {
      Log(Severity::kError, "self-probe-failed", {{"reason", std::string(status.message())}});
    }
    if (told_) told_(status.ok());
    MutexLock lock(mutex_);
    // Spurious wake-ups only make the next probe come early.
    if (!stopping_) changed_.WaitFor(mutex_, interval_);
    if (stopping_) return;
  }
}

}  // namespace werkplek
