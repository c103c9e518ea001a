// How our programs end: exit codes that systemd and scripts can tell apart, and the signals that
// end a service.
#pragma once

#include <signal.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// sysexits.h's EX_USAGE, EX_SOFTWARE and EX_CONFIG.
constexpr int kExitGood = 0;
constexpr int kExitUsage = 64;
constexpr int kExitFailed = 70;
constexpr int kExitBadConfig = 78;

// The exit code for `status`; unless it is OK, says why on standard error, after the program's
// name.
int ExitCode(absl::string_view program, const absl::Status& status);

// SIGTERM and SIGINT, as something to wait for. They are blocked in the thread that makes this and
// in all that it starts afterwards: make it before the first thread. They stay blocked when it
// goes, so that a second signal does not cut an orderly end short.
class EndSignals {
 public:
  EndSignals();
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  // Waits for one of them, tells systemd that the program stops (STOPPING=1), and gives the
  // signal's number. One that came before the call ends it at once.
  int Wait() const;

 private:
  sigset_t signals_;
};

}  // namespace werkplek
