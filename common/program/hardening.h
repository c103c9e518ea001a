// What every long-running program of ours does before it touches a secret.
#pragma once

#include "absl/status/status.h"

namespace werkplek {

// Files for the owner only (umask 077), no core dumps and no debugger (RLIMIT_CORE 0,
// PR_SET_DUMPABLE 0), as many file descriptors as the system grants, and TLS 1.3 as the least. Call
// it first in main(), before any thread.
absl::Status HardenProcess();

}  // namespace werkplek
