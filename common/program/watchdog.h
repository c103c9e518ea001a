// Asks the program itself whether it still works, and tells systemd.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace werkplek {

// sd_notify(3), with a state such as "READY=1"; nothing happens outside of systemd.
void TellSystemd(const std::string& state);

// Runs `probe` every `interval` on a thread of its own. A good probe feeds systemd's watchdog
// (WATCHDOG=1); a bad one is logged and does not, so that systemd restarts a program that stays
// bad.
class Watchdog {
 public:
  using Probe = std::function<absl::Status()>;

  // `told` (may be empty) gets each outcome.
  Watchdog(absl::Duration interval, Probe probe, std::function<void(bool good)> told);
  // Waits for a probe that runs.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  void Run();

  const absl::Duration interval_;
  const Probe probe_;
  const std::function<void(bool good)> told_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace werkplek
