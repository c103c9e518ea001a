#include "common/config/address_checks.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/tls/peer_name.h"

namespace werkplek {

absl::Status CheckNumericAddress(const std::string& text) {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(text));
  unsigned char bytes[16];
  if (inet_pton(AF_INET, address.host.c_str(), bytes) == 1 ||
      inet_pton(AF_INET6, address.host.c_str(), bytes) == 1) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("must begin with an IP address, not a name");
}

absl::Status CheckLoopback(const std::string& text) {
  RETURN_IF_ERROR(CheckNumericAddress(text));
  if (absl::StartsWith(text, "127.") || absl::StartsWith(text, "[::1]:")) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "metrics are served without TLS, so on loopback only; use 127.0.0.1:PORT");
}

absl::Status CheckName(const std::string& text) {
  if (IsPeerName(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "must be 1 to 63 of [a-z0-9.-], first and last a letter or digit");
}

}  // namespace werkplek
