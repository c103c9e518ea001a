// Whom a peer counts as where what one may have of something is limited.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace werkplek {

// `peer` is a numeric address, with its port or without. "192.0.2.7" of "192.0.2.7:51234", and of
// "[::ffff:192.0.2.7]:51234"; "2001:db8:0:7::/64" of "[2001:db8:0:7::1]:51234": whoever has one
// address of IPv6 has the other 2^64 of its network, too (RFC 6177). Of anything else, what
// stands before its port.
std::string SourceOf(absl::string_view peer);

}  // namespace werkplek
