// The tiny guest of deploy/images/tiny for tests: built once per build folder.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "agent/hypervisor/accelerator.h"

namespace werkplek {

struct TinyGuest {
  std::string disk;
  std::string kernel;
  std::string initrd;
  std::string kernel_arguments;
  std::string sha256;
  uint64_t size_bytes = 0;
};

// Builds it below WERKPLEK_BIN_DIR (3 s the first time, with the network; 0.1 s later) and waits
// for another process that builds it. INTERNAL with the build's output.
absl::StatusOr<TinyGuest> BuildTinyGuest();

// FindAccelerator with its answer kept beside the tiny guest.
absl::StatusOr<Accelerator> TestAccelerator();

// A new, empty qcow2 overlay of the tiny guest's disk at `path`.
absl::Status MakeTinyOverlay(const TinyGuest& guest, const std::string& path);

}  // namespace werkplek
