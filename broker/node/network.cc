#include "broker/node/network.h"

#include <arpa/inet.h>

#include <cstring>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace werkplek {
namespace {

using Bytes = std::array<uint8_t, 16>;

constexpr int kMappedBits = 96;

std::optional<Bytes> ParseAddress(absl::string_view text) {
  const std::string address(text);
  Bytes bytes{};
  if (inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1) return bytes;
  in_addr v4;
  if (inet_pton(AF_INET, address.c_str(), &v4) != 1) return std::nullopt;
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(&bytes[12], &v4, 4);
  return bytes;
}

// Without port and brackets.
absl::string_view HostPart(absl::string_view address) {
  if (absl::ConsumePrefix(&address, "[")) {
    const size_t end = address.find(']');
    return end == absl::string_view::npos ? absl::string_view() : address.substr(0, end);
  }
  const size_t colon = address.find(':');
  const bool one_colon =
      colon != absl::string_view::npos && address.find(':', colon + 1) == absl::string_view::npos;
  return one_colon ? address.substr(0, colon) : address;
}

bool BitAt(const Bytes& bytes, int bit) { return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0; }

}  // namespace

absl::StatusOr<Network> Network::Parse(absl::string_view text) {
  const size_t slash = text.find('/');
  const absl::string_view address = text.substr(0, slash);
  const std::optional<Bytes> base = ParseAddress(address);
  if (!base.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not a network; write it like 10.1.0.0/16 or 2001:db8::/32"));
  }
  const bool v4 = address.find(':') == absl::string_view::npos;
  int bits = v4 ? 32 : 128;
  if (slash != absl::string_view::npos) {
    const int most = bits;
    if (!absl::SimpleAtoi(text.substr(slash + 1), &bits) || bits < 0 || bits > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "': the prefix length must be 0 to ", most));
    }
  }
  Network network;
  network.base_ = *base;
  network.prefix_bits_ = v4 ? kMappedBits + bits : bits;
  for (int bit = network.prefix_bits_; bit < 128; ++bit) {
    if (BitAt(network.base_, bit)) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "': the address has bits set beyond its prefix of ", bits));
    }
  }
  return network;
}

bool Network::Contains(absl::string_view address) const {
  const std::optional<Bytes> bytes = ParseAddress(HostPart(address));
  if (!bytes.has_value()) return false;
  for (int bit = 0; bit < prefix_bits_; ++bit) {
    if (BitAt(*bytes, bit) != BitAt(base_, bit)) return false;
  }
  return true;
}

bool AnyContains(const std::vector<Network>& networks, absl::string_view address) {
  for (const Network& network : networks) {
    if (network.Contains(address)) return true;
  }
  return false;
}

}  // namespace werkplek
