// The exit codes of both client programs (docs/operating/werkplek.md,
// docs/operating/werkplekctl.md).
#pragma once

#include "absl/status/status.h"

namespace werkplek {

enum class ExitCode {
  kOk = 0,
  // The command line is wrong, or a confirmation is missing.
  kUsage = 1,
  // The broker said no: not entitled, no such thing, still in use, pool full.
  kRefused = 2,
  // The sign-in failed, or there is none (any more).
  kSignInFailed = 3,
  // No broker answers, or all are too busy. The same command may work later.
  kUnavailable = 4,
  // Something on this machine: configuration, certificate, file, viewer.
  kLocal = 5,
  // Interrupted from the keyboard (128 + SIGINT).
  kInterrupted = 130,
};

// What of this machine is the problem, for programs that say it in more than one language.
enum class LocalCause { kOther, kNoConfiguration, kConfiguration, kCertificate, kTokenFile };

// Marks a status as this machine's own problem or as a wrong command line; the first mark counts
// before a local one. A status that was not marked came from the broker.
absl::Status LocalProblem(absl::Status status, LocalCause cause = LocalCause::kOther);
absl::Status UsageProblem(absl::Status status);

// kOther: it was not said, or the status is no LocalProblem.
LocalCause CauseOf(const absl::Status& status);

// The code for a command that ended with `status`.
ExitCode ExitCodeFor(const absl::Status& status);

}  // namespace werkplek
