// One-time codes (liboath): RFC 4226 (HOTP) and RFC 6238 (TOTP). Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

enum class CodeHash { kSha1, kSha256, kSha512 };

// Length of a time step (RFC 6238 section 5.2).
inline constexpr int64_t kStepSeconds = 30;

// The code of a counter: `digits` (6 to 8) ASCII digits. Empty when liboath refuses the arguments.
std::string HotpCode(absl::string_view seed, uint64_t counter, int digits);

// The code of a time step (Unix time / 30 s, not negative). Empty when liboath refuses the
// arguments.
std::string TotpCode(absl::string_view seed, int64_t step, int digits, CodeHash hash);

// RFC 4648 section 6, without padding. The caller wipes the result when `bytes` are secret.
std::string Base32Encode(absl::string_view bytes);

}  // namespace werkplek
