// The QEMU guest agent's messages (docs/interop/qemu-ga-ref of QEMU). Pure. What a guest answers is
// hostile input: every answer is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/hypervisor/hypervisor.h"

namespace werkplek {

inline constexpr size_t kMaxGuestOutput = 64 << 10;

// guest-exec of `command` with its output captured. `command` is not empty.
std::string GuestExecRequest(const std::vector<std::string>& command, const std::string& input);
absl::StatusOr<int64_t> ParseGuestExecAnswer(absl::string_view json);

std::string GuestExecStatusRequest(int64_t pid);
// nullopt: it still runs. The output is standard output, then standard error, cut at 64 KiB; a
// signal's exit code is 128 + its number.
absl::StatusOr<std::optional<GuestExecResult>> ParseGuestExecStatus(absl::string_view json);

}  // namespace werkplek
