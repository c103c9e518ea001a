#include "agent/image/disk_file.h"

#include <stdio.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "agent/image/image_copy.h"
#include "agent/image/image_declaration.h"
#include "agent/image/image_file.h"
#include "agent/image/qemu_img.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr uint64_t kLeastRoomBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::string> DiskPath(const std::string& overlays, const DiskKey& disk) {
  if (!IsPlainName(disk.desktop)) {
    return absl::InvalidArgumentError("desktop: must be 1 to 63 of [a-z0-9.-]");
  }
  return absl::StrCat(overlays, "/", disk.desktop, "/",
                      disk.kept ? std::string("disk") : absl::StrCat(disk.generation), ".qcow2");
}

absl::StatusOr<std::string> FindDisk(const std::string& overlays, const DiskKey& disk) {
  ASSIGN_OR_RETURN(std::string path, DiskPath(overlays, disk));
  const absl::Status there = ReadFacts(path).status();
  if (absl::IsNotFound(there)) {
    return absl::NotFoundError(absl::StrCat("its disk is not here: ", path, " is missing"));
  }
  RETURN_IF_ERROR(there);
  return path;
}

absl::StatusOr<Overlay> MakeDisk(const std::string& overlays, const DiskKey& disk,
                                 const std::string& content, const ImageRecord& record) {
  Overlay overlay;
  ASSIGN_OR_RETURN(overlay.path, DiskPath(overlays, disk));
  const std::string folder = std::filesystem::path(overlay.path).parent_path().string();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FileError(error.value(), "cannot make " + folder);
  // Beside the old one, which has its inode until then: the two are never taken for each other.
  const std::string fresh = overlay.path + ".new";
  if (unlink(fresh.c_str()) != 0 && errno != ENOENT) {
    return FileError(errno, "cannot remove " + fresh);
  }
  absl::Status made = MakeOverlay(fresh, content, record.format);
  if (made.ok()) made = SyncFile(fresh);
  if (made.ok() && rename(fresh.c_str(), overlay.path.c_str()) != 0) {
    made = FileError(errno, "cannot rename " + fresh);
  }
  if (made.ok()) made = SyncFolder(folder);
  if (!made.ok()) {
    unlink(fresh.c_str());
    RETURN_IF_ERROR(CheckSpace(overlays, kLeastRoomBytes));
    return made;
  }
  ASSIGN_OR_RETURN(const FileFacts facts, ReadFacts(overlay.path));
  overlay.identity = facts.identity;
  overlay.created_unix_ns = facts.created_unix_ns;
  overlay.backing_sha256 = record.sha256;
  return overlay;
}

}  // namespace werkplek
