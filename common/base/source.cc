#include "common/base/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

constexpr size_t kNetworkBytes = 8;
constexpr size_t kMappedPrefixBytes = 12;

std::string Text(int family, const void* address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address, text, sizeof(text));
  return text;
}

absl::string_view WithoutPort(absl::string_view peer) {
  if (!peer.empty() && peer.front() == '[') return peer.substr(1, peer.find(']') - 1);
  // More than one colon: an address of IPv6 without a port.
  const size_t colon = peer.find(':');
  return colon == peer.rfind(':') ? peer.substr(0, colon) : peer;
}

}  // namespace

std::string SourceOf(absl::string_view peer) {
  const absl::string_view bare = WithoutPort(peer);
  // "fe80::1%eth0": which of our interfaces it came by is no part of its address.
  const std::string address(bare.substr(0, bare.find('%')));
  in6_addr six{};
  if (inet_pton(AF_INET6, address.c_str(), &six) != 1) return address;
  if (IN6_IS_ADDR_V4MAPPED(&six)) return Text(AF_INET, six.s6_addr + kMappedPrefixBytes);
  std::fill(std::begin(six.s6_addr) + kNetworkBytes, std::end(six.s6_addr), 0);
  return absl::StrCat(Text(AF_INET6, &six), "/64");
}

}  // namespace werkplek
