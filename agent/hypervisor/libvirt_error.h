// libvirt's errors as statuses.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// `code` is a virErrorNumber, `message` libvirt's own.
absl::Status LibvirtStatus(int code, absl::string_view message, absl::string_view what);

// What a failed request to the guest agent to shut down says about whether it was taken.
enum class ShutdownAnswer {
  // The agent's socket ended under the request: its QEMU goes, and nobody else would make it go.
  kTaken,
  // The domain's own state must tell.
  kPerhaps,
  // There was no agent to take it.
  kNotTaken,
};

// Judges the error of virDomainShutdownFlags with VIR_DOMAIN_SHUTDOWN_GUEST_AGENT. A guest may be
// off before libvirt read its agent's answer; libvirt then says "End of file from agent socket"
// (VIR_ERR_INTERNAL_ERROR), in the language of the process that it runs in.
ShutdownAnswer JudgeGuestShutdown(int code, absl::string_view message);

// The calling thread's last libvirt error (virGetLastError), then cleared.
absl::Status LastLibvirtStatus(absl::string_view what);

}  // namespace werkplek
