// A shared storage in memory, for hosts of one test or simulation: disks are names, deeds are real.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/image/deed.h"
#include "agent/image/disk_file.h"
#include "common/base/status_macros.h"

namespace werkplek {

// Keeps the promises of SharedStorage. Not thread-safe.
class FakeSharedStorage {
 public:
  explicit FakeSharedStorage(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  // Told of each disk that goes: who removed it, for which key, its path.
  std::function<void(const std::string& host, const DiskKey& disk, const std::string& path)>
      removed;

  absl::StatusOr<Overlay> CreateOverlay(const std::string& host, const DiskKey& disk,
                                        const std::string& image_sha256) {
    const std::string path = Path(disk);
    RETURN_IF_ERROR(MayTake(DeedOf(path), disk.generation, host));
    deeds_[path] = {disk.generation, host};
    const uint64_t inode = ++last_inode_;
    disks_[path] = inode;
    return Overlay{path, absl::StrCat("7:", inode), static_cast<int64_t>(inode), image_sha256};
  }
  absl::StatusOr<std::string> TakeDisk(const std::string& host, const DiskKey& disk) {
    const std::string path = Path(disk);
    if (disks_.count(path) == 0) return absl::NotFoundError("its disk is not here: " + path);
    RETURN_IF_ERROR(MayTake(DeedOf(path), disk.generation, host));
    deeds_[path] = {disk.generation, host};
    return path;
  }
  absl::Status RemoveDisks(const std::string& host, const DiskKey& disk,
                           const std::string& except) {
    const std::string folder = absl::StrCat("/", name_, "/", disk.desktop, "/");
    for (auto at = deeds_.lower_bound(folder);
         at != deeds_.end() && at->first.compare(0, folder.size(), folder) == 0;) {
      const bool goes = at->first != except && MayRemove(at->second, disk.generation, host);
      if (goes) disks_.erase(at->first);
      if (goes && removed) removed(host, disk, at->first);
      at = goes ? deeds_.erase(at) : std::next(at);
    }
    return absl::OkStatus();
  }
  absl::Status HandOver(const DiskKey& disk, const std::string& to) {
    const std::string path = Path(disk);
    if (disks_.count(path) == 0) return absl::NotFoundError("its disk is not here: " + path);
    RETURN_IF_ERROR(MayHandOver(DeedOf(path), disk.generation));
    deeds_[path] = {disk.generation, to};
    return absl::OkStatus();
  }

  // Of a kept desktop's disk, or nullopt.
  std::optional<Deed> DeedOfKept(const std::string& desktop) const {
    return DeedOf(Path({desktop, 0, name_, true}));
  }
  // Changes when the kept disk is made anew; 0: there is none.
  uint64_t InodeOfKept(const std::string& desktop) const {
    const auto found = disks_.find(Path({desktop, 0, name_, true}));
    return found == disks_.end() ? 0 : found->second;
  }

 private:
  std::string Path(const DiskKey& disk) const {
    return absl::StrCat("/", name_, "/", disk.desktop, "/",
                        disk.kept ? std::string("disk") : absl::StrCat(disk.generation));
  }
  std::optional<Deed> DeedOf(const std::string& path) const {
    const auto found = deeds_.find(path);
    return found == deeds_.end() ? std::nullopt : std::optional<Deed>(found->second);
  }

  const std::string name_;
  uint64_t last_inode_ = 0;
  std::map<std::string, uint64_t> disks_;
  std::map<std::string, Deed> deeds_;
};

}  // namespace werkplek
