// What an authenticator app does with the otpauth URI that it is shown.
#pragma once

#include <cstdint>
#include <string>

namespace werkplek::sim {

// The bytes of the URI's `secret` (base32). Empty: there is none.
inline std::string SeedOfUri(const std::string& uri) {
  const size_t at = uri.find("secret=");
  std::string seed;
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = at + 7; at != std::string::npos && i < uri.size() && uri[i] != '&'; ++i) {
    const char c = uri[i];
    const int value = c >= 'A' && c <= 'Z' ? c - 'A' : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
    if (value < 0) break;
    bits = bits << 5 | static_cast<uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      seed.push_back(static_cast<char>(bits >> count));
    }
  }
  return seed;
}

}  // namespace werkplek::sim
