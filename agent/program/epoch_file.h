// The highest epoch that this agent ever obeyed, on disk: a leader that was overtaken stays
// overtaken across restarts.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace werkplek {

// 0 when there is no file yet. DATA_LOSS: it holds no number; the message says what to do.
absl::StatusOr<uint64_t> ReadEpochFile(const std::string& path);

// Durable when it returns: written beside, synced, renamed, and the folder synced.
absl::Status WriteEpochFile(const std::string& path, uint64_t epoch);

}  // namespace werkplek
