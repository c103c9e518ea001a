// Where desktops are moved to: libvirt URIs of other hosts. Pure.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// qemu+tls://HOST[:PORT]/system, or qemu+tcp for a laboratory; nothing else. libvirt's other
// transports run programs that the URI names. INVALID_ARGUMENT says what is allowed.
absl::Status CheckMigrationUri(absl::string_view uri);

// The HOST of a URI that was checked, with its brackets when it is an IPv6 address.
std::string HostOfMigrationUri(absl::string_view uri);

}  // namespace werkplek
