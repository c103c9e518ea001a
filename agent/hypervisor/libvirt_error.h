// libvirt's errors as statuses.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// `code` is a virErrorNumber, `message` libvirt's own.
absl::Status LibvirtStatus(int code, absl::string_view message, absl::string_view what);

// The calling thread's last libvirt error (virGetLastError), then cleared.
absl::Status LastLibvirtStatus(absl::string_view what);

}  // namespace werkplek
