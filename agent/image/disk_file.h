// The files that desktops stand on: OVERLAYS/DESKTOP/GENERATION.qcow2, and for kept disks, which
// outlive generations, OVERLAYS/DESKTOP/disk.qcow2. Blocking; thread-safe for different desktops.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/image/image_record.h"

namespace werkplek {

// Names one disk of a desktop.
struct DiskKey {
  std::string desktop;
  uint64_t generation = 0;
  // The shared storage; empty: the host's own disks.
  std::string storage;
  bool kept = false;
};

struct Overlay {
  std::string path;
  // "DEVICE:INODE" of the file, and its birth; with the backing digest, the parts of the proof of
  // cleanness.
  std::string identity;
  int64_t created_unix_ns = 0;
  std::string backing_sha256;
};

// INVALID_ARGUMENT: the desktop's name cannot be a folder's.
absl::StatusOr<std::string> DiskPath(const std::string& overlays, const DiskKey& disk);

// The path of a disk that is there. NOT_FOUND: it is not.
absl::StatusOr<std::string> FindDisk(const std::string& overlays, const DiskKey& disk);

// A new, empty overlay on `content`, durable, in place of a disk of that key. On an error the old
// one is still there. RESOURCE_EXHAUSTED: the disk is full.
absl::StatusOr<Overlay> MakeDisk(const std::string& overlays, const DiskKey& disk,
                                 const std::string& content, const ImageRecord& record);

}  // namespace werkplek
