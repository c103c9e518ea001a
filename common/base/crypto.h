// Hashes, random bytes and comparisons (libsodium). Thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

// 32 bytes.
std::string Sha256(absl::string_view data);

// From the operating system's generator.
std::string RandomBytes(size_t count);

// Lower-case hexadecimal.
std::string HexEncode(absl::string_view bytes);

// URL-safe base64 without padding, for tokens and tickets.
std::string Base64UrlEncode(absl::string_view bytes);

// Whether the two are equal, in a time that depends on their lengths only.
bool EqualInConstantTime(absl::string_view a, absl::string_view b);

// Overwrites the string's bytes (in a way the compiler keeps) and empties it.
void Wipe(std::string& secret);

// A secret that is overwritten when it goes, and that streams and logs do not take.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { Wipe(other.value_); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe(value_);
      value_ = std::move(other.value_);
      Wipe(other.value_);
    }
    return *this;
  }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Wipe(value_); }

  // The value itself. Do not copy it into anything that outlives this.
  const std::string& Reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
};

}  // namespace werkplek
