// How many descriptors a gateway opens when it is full, against how many it may open.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "gateway/program/gateway_config.h"

namespace werkplek {

// What one connection of a client or a browser takes at most: its own socket, the two ends of the
// local one in between, and the socket to the host.
inline constexpr uint64_t kDescriptorsOfConnection = 4;

// When everything that the limits allow is open at once.
uint64_t DescriptorsWhenFull(const GatewayConfig& config);

// Judges the limits by what the process may open (RLIMIT_NOFILE). Channels that the configuration
// does not name are lowered to what fits. FAILED_PRECONDITION: the limits that it names, or the
// connections that wait, do not fit; says what to change, and to what.
absl::Status FitDescriptors(uint64_t allowed, GatewayConfig& config);

}  // namespace werkplek
