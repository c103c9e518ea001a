// A desktop's QEMU as a process, and libvirt's settings for it, read from the host itself: for when
// libvirt does not answer. Blocking; thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace werkplek {

// Where the QEMU driver of that URI keeps a file NAME.pid for each domain that runs. Empty: another
// driver.
std::string QemuStateFolderOf(absl::string_view uri);

// Kills the process that `pid_file` names, when it is the QEMU of that UUID, and waits for its end.
// False: there is no such process. PERMISSION_DENIED: it is another account's. DEADLINE_EXCEEDED:
// it was killed and is not gone within `bound` (its disk hangs).
absl::StatusOr<bool> KillQemu(const std::string& pid_file, const std::string& uuid,
                              absl::Duration bound);

// libvirt's lock manager for that URI, from its qemu.conf: "nop", "lockd", "sanlock". Empty: not
// known. libvirtd reads the file when it starts.
std::string LockManagerOf(absl::string_view uri);

// What a qemu.conf says; "nop" when it says nothing. Pure.
std::string ParseLockManager(absl::string_view conf);

}  // namespace werkplek
