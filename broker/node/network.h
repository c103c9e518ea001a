// Address ranges in CIDR form, for rules that depend on where a caller is. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

class Network {
 public:
  // "10.1.0.0/16", "2001:db8::/32", or a single address. INVALID_ARGUMENT says what is wrong, also
  // for bits set beyond the prefix.
  static absl::StatusOr<Network> Parse(absl::string_view text);

  // Whether the caller's address ("192.0.2.7:51234", "[2001:db8::1]:443", or without a port) lies
  // inside. An IPv4 address that is written as IPv6 (::ffff:192.0.2.7) counts as IPv4. An address
  // that cannot be read lies in no network.
  bool Contains(absl::string_view address) const;

 private:
  // IPv4 is kept as ::ffff:a.b.c.d.
  std::array<uint8_t, 16> base_{};
  int prefix_bits_ = 128;
};

// Whether any of them contains the address.
bool AnyContains(const std::vector<Network>& networks, absl::string_view address);

}  // namespace werkplek
