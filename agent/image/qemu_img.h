// Disks as qemu-img sees them. Blocking; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

struct DiskInfo {
  std::string path;
  std::string format;
  // Empty: none.
  std::string backing;
  // Data that lies in a file of its own (a qcow2 feature); empty: none.
  std::string data_file;
};

// One disk, judged as `format`.
absl::StatusOr<DiskInfo> ReadDisk(const std::string& path, const std::string& format);

// The disk and everything it stands on, top first. Works on disks in use.
absl::StatusOr<std::vector<DiskInfo>> ReadChain(const std::string& path);

// A new, empty qcow2 overlay at `path` on `backing`, of the same size.
absl::Status MakeOverlay(const std::string& path, const std::string& backing,
                         const std::string& backing_format);

// What `qemu-img info --output=json` printed: one object, or a list of them. Pure.
absl::StatusOr<std::vector<DiskInfo>> ParseDiskInfo(absl::string_view json);

}  // namespace werkplek
