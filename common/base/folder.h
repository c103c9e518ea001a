// Making folders, and making what was done in them durable.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

namespace werkplek {

// Makes `path` with `mode`, and each missing parent (0755, for others must come through), whatever
// the umask is. What is there stays as it is. PERMISSION_DENIED names the folder that cannot be
// made, or that is something else.
absl::Status MakeFolder(const std::string& path, mode_t mode);

// Makes the names in the folder that `path` is in durable: files that were made, renamed or
// removed.
absl::Status SyncFolderOf(const std::string& path);

}  // namespace werkplek
