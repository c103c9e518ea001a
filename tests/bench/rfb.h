// The handshake of a VNC display.
#pragma once

#include "absl/status/status.h"

namespace werkplek {

// RFC 6143 section 7.1 to 7.3 on a connected socket, with security "None": until the server has
// told the size and name of its screen. Blocks at most 20 s.
absl::Status RfbHandshake(int socket);

}  // namespace werkplek
