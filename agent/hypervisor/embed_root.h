// Folders of libvirt's embedded QEMU driver (qemu:///embed?root=DIR), each a hypervisor of its own.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// The longest root: libvirt's monitor sockets lie below it, and a socket's path has 108 bytes.
inline constexpr size_t kMaxEmbedRootBytes = 48;

// Where the sockets of the guest agents are, below the root. libvirt's own choice is too long a
// path for anything but a very short root.
inline constexpr char kEmbedChannelFolder[] = "/agents";

// The URI for a root.
std::string EmbedUri(absl::string_view root);

// The root that a URI names; nullopt: the URI is no embed URI.
std::optional<std::string> EmbedRootOf(absl::string_view uri);

// Makes the folder, and its etc/qemu.conf when there is none: QEMU runs as root, without cgroups
// and without helpers of libvirtd's, so it works in a container and in a plain VM. libvirt's own
// log goes to log/libvirt.log (unless LIBVIRT_LOG_OUTPUTS says otherwise), so it must come before
// the process's first call of libvirt. INVALID_ARGUMENT: the root is not absolute, or too long.
// FAILED_PRECONDITION: the machine lacks a user that libvirt wants.
absl::Status PrepareEmbedRoot(const std::string& root);

}  // namespace werkplek
