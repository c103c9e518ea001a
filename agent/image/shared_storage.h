// A folder that several hosts see under the same path: the images and disks of pools with that
// storage, each image once, each disk with its deed. Blocking, for as long as the file system does;
// thread-safe, also between hosts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/image/disk_file.h"
#include "agent/image/file_lock.h"
#include "agent/image/image_copy.h"
#include "agent/image/image_record.h"
#include "agent/image/overlay_use.h"
#include "common/base/mutex.h"
#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

struct SharedStorageOptions {
  std::string name;
  // Absolute and without a final slash.
  std::string path;
  // This host's name.
  std::string host;
  // On the host's own disk: keeps which storage was seen under the name, so that a folder on which
  // nothing is mounted, or something else, is not taken for it.
  std::string id_file;
  // It may begin in a folder that is no mount of its own.
  bool plain_folder = false;
  // Sources of images lie in these, whatever links say; none: anywhere.
  std::vector<std::string> image_folders;
};

// Below the folder: `storage.id`, which tells it from others; `images/` SHA256.FORMAT with
// SHA256.FORMAT.json; `overlays/`, the disks (disk_file.h), each with its deed; `locks/`.
class SharedStorage {
 public:
  // By this host's own count, so that it means as much time wherever clocks are wrong.
  static constexpr absl::Duration kLeftoverAge = absl::Hours(24);

  explicit SharedStorage(SharedStorageOptions options);
  SharedStorage(const SharedStorage&) = delete;
  SharedStorage& operator=(const SharedStorage&) = delete;

  // Whether it is there and the one it should be. One that is new gets its `storage.id`, unless it
  // may be the folder below a mount that is missing. UNAVAILABLE, with what is wrong; every other
  // call gives that too.
  absl::Status AtHand();

  // As ImageStore's. A copy that another host makes is waited for. Drop is refused
  // (FAILED_PRECONDITION) while a disk of the storage, of whatever host, stands on it.
  absl::Status Fetch(const std::string& name, const v1::Image& image);
  std::vector<v1::ImageReport> Report() const;
  absl::Status Drop(const std::string& name);
  // To be called now and then, with a clock that never jumps: removes images that an update, or a
  // host, left behind. One goes when it is none of `wanted` (digests) and of no disk's backing
  // chain, and no host has wanted it, fetched it or made a disk on it for kLeftoverAge. Not at
  // hand, locked, or with a disk whose chain cannot be read: it stays for now. It takes about 20 ms
  // for each disk in the storage, twice for each image that goes.
  void RemoveLeftovers(const std::set<std::string>& wanted, absl::Duration now,
                       const StopAsked& stop = {});

  // A new, empty overlay on the image, with the deed in this host's name. FAILED_PRECONDITION: the
  // deed forbids it. NOT_FOUND: the image was not fetched, or is not as it was.
  absl::StatusOr<Overlay> CreateOverlay(const DiskKey& disk, const std::string& image_sha256);
  // The disk that is there, with the deed in this host's name. NOT_FOUND: it is not here.
  // FAILED_PRECONDITION: the deed forbids it.
  absl::StatusOr<std::string> TakeDisk(const DiskKey& disk);
  // Removes the desktop's disks but `except` (a path; empty: none) whose deeds are this host's and
  // not newer than the key. OK also when nothing was.
  absl::Status RemoveDisks(const DiskKey& disk, const std::string& except);
  // For a machine that runs here and is about to go: its deed gets the other host's name, and
  // this host's again when it stayed.
  absl::Status HandOver(const DiskKey& disk, const std::string& host);
  absl::Status TakeBack(const DiskKey& disk) { return HandOver(disk, host_); }

 private:
  struct Known {
    ImageRecord record;
    bool verified = false;
    std::string error;
    std::optional<ImageRefusal> refusal;
  };
  // An image that this host does not want.
  struct Idle {
    // Its lock's, which every host touches that wants it.
    int64_t touched = 0;
    // Since when that is the same.
    absl::Duration since;
  };

  std::string ContentPath(const ImageRecord& record) const;
  absl::StatusOr<FileLock> LockDesktop(const std::string& desktop) const;
  absl::StatusOr<FileLock> LockImage(const std::string& sha256, FileLock::Mode mode,
                                     absl::Duration patience) const;
  absl::StatusOr<std::string> ReadId() const;
  absl::Status MakeId() const;
  absl::Status Unavailable(absl::string_view what) const;
  // Whether a folder without `storage.id` may become the storage.
  absl::Status MayBegin() const;
  // Under the image's lock: whether the content is as recorded.
  bool IsAsRecorded(const ImageRecord& record) const;
  absl::Status FetchLocked(const v1::Image& image, ImageRecord& record,
                           std::optional<ImageRefusal>& refusal) const;
  // Whether nobody has wanted the image for long enough; tells the other hosts when it is `wanted`.
  bool IsLeftover(const std::string& sha256, bool wanted, absl::Duration now);
  // UNAVAILABLE: somebody wants it after all. FAILED_PRECONDITION: a disk stands on it, or may.
  absl::Status RemoveLeftover(const std::string& sha256, const StopAsked& stop);
  // Under the image's lock.
  absl::Status RemoveFilesOf(const std::string& sha256) const;
  // The image is not here, or not as it was, whatever this host knew: NOT_FOUND, and it is fetched
  // before it is used again.
  absl::Status ForgetVerified(const std::string& sha256);

  const std::string name_;
  const std::string path_;
  const std::string host_;
  const std::string id_file_;
  const bool plain_folder_;
  const std::vector<std::string> image_folders_;
  const std::string images_;
  const std::string overlays_;
  mutable Mutex mutex_;
  // What this host fetched here, by name.
  std::map<std::string, Known> known_ ABSL_GUARDED_BY(mutex_);
  // By digest.
  std::map<std::string, Idle> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
