// The seal over a token seed: XChaCha20-Poly1305 (libsodium) under a key that is never in the
// store. The seal binds the user and the seed id, so a sealed seed that is copied to another user
// or another enrolment does not open (docs/adr/0021-libsodium.md). Thread-safe.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/crypto.h"

namespace werkplek {

inline constexpr size_t kSealKeyBytes = 32;
inline constexpr size_t kSealNonceBytes = 24;

// Format: one byte version (1), the nonce, the ciphertext with its tag. `key` has kSealKeyBytes,
// `nonce` kSealNonceBytes that were never used before (random ones are long enough for that).
std::string Seal(const Secret& key, absl::string_view nonce, absl::string_view user,
                 absl::string_view seed_id, absl::string_view seed);

// DATA_LOSS: cut, changed, sealed with another key, or for another user or seed id.
absl::StatusOr<Secret> OpenSeal(const Secret& key, absl::string_view sealed, absl::string_view user,
                                absl::string_view seed_id);

}  // namespace werkplek
