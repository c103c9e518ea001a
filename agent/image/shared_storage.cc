#include "agent/image/shared_storage.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/image/deed.h"
#include "agent/image/image_copy.h"
#include "agent/image/image_declaration.h"
#include "agent/image/image_file.h"
#include "agent/image/overlay_use.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;

constexpr char kIdFile[] = "/storage.id";
constexpr size_t kIdBytes = 16;
// Held for milliseconds each.
constexpr absl::Duration kLockPatience = absl::Seconds(10);
// Another host copies the image meanwhile.
constexpr absl::Duration kCopyPatience = absl::Minutes(10);

absl::StatusOr<std::string> ReadLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return std::string(absl::StripAsciiWhitespace(line));
}

// Not common/base's MakeFolder: no parents, for below a mount that has just gone nothing is to be
// made, and a full storage is told as such.
absl::Status MakeOneFolder(const std::string& path) {
  std::error_code error;
  fs::create_directory(path, error);
  return error ? FileError(error.value(), "cannot make " + path) : absl::OkStatus();
}

// Whether another file system begins there than its folder lies in.
bool IsMountPoint(const std::string& path) {
  struct stat here, above;
  return stat(path.c_str(), &here) == 0 && stat((path + "/..").c_str(), &above) == 0 &&
         here.st_dev != above.st_dev;
}

std::string DeedPath(absl::string_view disk) {
  return absl::StrCat(absl::StripSuffix(disk, ".qcow2"), ".deed");
}

absl::Status Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return FileError(errno, "cannot remove " + path);
}

}  // namespace

SharedStorage::SharedStorage(SharedStorageOptions options)
    : name_(std::move(options.name)),
      path_(std::move(options.path)),
      host_(std::move(options.host)),
      id_file_(std::move(options.id_file)),
      plain_folder_(options.plain_folder),
      image_folders_(std::move(options.image_folders)),
      images_(path_ + "/images"),
      overlays_(path_ + "/overlays") {}

absl::StatusOr<std::string> SharedStorage::ReadId() const { return ReadLine(path_ + kIdFile); }

absl::Status SharedStorage::MakeId() const {
  const std::string mine = absl::StrCat(path_, kIdFile, ".", host_);
  RETURN_IF_ERROR(
      WriteWhole(mine, absl::StrCat(name_, " ", HexEncode(RandomBytes(kIdBytes)), "\n")));
  // The first host's stays.
  const bool made = link(mine.c_str(), (path_ + kIdFile).c_str()) == 0 || errno == EEXIST;
  const int error = errno;
  unlink(mine.c_str());
  if (!made) return FileError(error, absl::StrCat("cannot make ", path_, kIdFile));
  return SyncFolder(path_);
}

absl::Status SharedStorage::Unavailable(absl::string_view what) const {
  return absl::UnavailableError(absl::StrCat("storage ", name_, ": ", path_, " ", what));
}

absl::Status SharedStorage::MayBegin() const {
  if (plain_folder_ || IsMountPoint(path_)) return absl::OkStatus();
  return Unavailable(
      "has no storage.id and is no mount of its own; mount the storage there, or say "
      "`plain_folder: true` with it when it is to begin in that very folder");
}

absl::Status SharedStorage::AtHand() {
  std::error_code error;
  if (!fs::is_directory(path_, error)) return Unavailable("is no folder");
  const absl::StatusOr<std::string> remembered = ReadLine(id_file_);
  if (!ReadId().ok()) {
    if (remembered.ok()) {
      return Unavailable(absl::StrCat("has no storage.id any more; is it mounted? When it was ",
                                      "emptied on purpose, remove ", id_file_));
    }
    RETURN_IF_ERROR(MayBegin());
    RETURN_IF_ERROR(MakeId());
  }
  ASSIGN_OR_RETURN(const std::string id, ReadId());
  if (!absl::StartsWith(id, name_ + " ")) {
    return Unavailable(absl::StrCat("is another storage (", id, ")"));
  }
  if (!remembered.ok()) {
    RETURN_IF_ERROR(WriteWhole(id_file_, id + "\n"));
  } else if (*remembered != id) {
    return Unavailable(absl::StrCat("is not the storage that was there before (", id, "); when ",
                                    "that is meant, remove ", id_file_));
  }
  for (const std::string& folder : {images_, overlays_, path_ + "/locks"}) {
    RETURN_IF_ERROR(MakeOneFolder(folder));
  }
  return absl::OkStatus();
}

std::string SharedStorage::ContentPath(const ImageRecord& record) const {
  return absl::StrCat(images_, "/", record.sha256, ".", record.format);
}

absl::StatusOr<FileLock> SharedStorage::LockDesktop(const std::string& desktop) const {
  // A few files for all desktops: a lock's file must never be removed.
  return FileLock::Take(
      absl::StrCat(path_, "/locks/desktops-", HexEncode(Sha256(desktop).substr(0, 1))),
      FileLock::Mode::kAlone, kLockPatience);
}

absl::StatusOr<FileLock> SharedStorage::LockImage(const std::string& sha256, FileLock::Mode mode,
                                                  absl::Duration patience) const {
  return FileLock::Take(absl::StrCat(path_, "/locks/image-", sha256), mode, patience);
}

bool SharedStorage::IsAsRecorded(const ImageRecord& record) const {
  const absl::StatusOr<ImageRecord> known = ReadRecord(ContentPath(record) + ".json");
  const absl::StatusOr<FileFacts> facts = ReadFacts(ContentPath(record));
  return known.ok() && facts.ok() && known->sha256 == record.sha256 &&
         SameContent(*facts, known->facts);
}

absl::Status SharedStorage::FetchLocked(const v1::Image& image, ImageRecord& record,
                                        std::optional<ImageRefusal>& refusal) const {
  if (IsAsRecorded(record)) {
    refusal.reset();
    return absl::OkStatus();
  }
  if (refusal.has_value() && IsAboutSameSource(*refusal, image)) return refusal->why;
  refusal.reset();
  const std::string content = ContentPath(record);
  const absl::StatusOr<std::string> digest = HashFile(content);
  if (!digest.ok() || *digest != record.sha256) {
    RETURN_IF_ERROR(CopyImage(image, image_folders_, content, content + ".part", refusal));
  }
  ASSIGN_OR_RETURN(record.facts, ReadFacts(content));
  return WriteRecord(content + ".json", record);
}

absl::Status SharedStorage::Fetch(const std::string& name, const v1::Image& image) {
  RETURN_IF_ERROR(CheckDeclaration(name, image));
  RETURN_IF_ERROR(AtHand());
  Known known;
  known.record.sha256 = image.sha256();
  known.record.format = image.format();
  {
    MutexLock lock(mutex_);
    const auto before = known_.find(name);
    if (before != known_.end()) known.refusal = before->second.refusal;
  }
  absl::Status status;
  {
    const absl::StatusOr<FileLock> lock =
        LockImage(image.sha256(), FileLock::Mode::kAlone, kCopyPatience);
    if (lock.ok()) lock->Touch();
    status = lock.ok() ? FetchLocked(image, known.record, known.refusal) : lock.status();
  }
  known.verified = status.ok();
  known.error = std::string(status.message());
  MutexLock lock(mutex_);
  known_[name] = std::move(known);
  return status;
}

std::vector<v1::ImageReport> SharedStorage::Report() const {
  MutexLock lock(mutex_);
  std::vector<v1::ImageReport> reports;
  for (const auto& [name, known] : known_) {
    v1::ImageReport& report = reports.emplace_back();
    report.set_image(name);
    report.set_sha256(known.record.sha256);
    report.set_verified(known.verified);
    report.set_error(known.error);
  }
  return reports;
}

absl::Status SharedStorage::Drop(const std::string& name) {
  ImageRecord record;
  {
    MutexLock lock(mutex_);
    const auto found = known_.find(name);
    if (found == known_.end()) return absl::OkStatus();
    record = found->second.record;
    const bool other = std::any_of(known_.begin(), known_.end(), [&](const auto& entry) {
      return entry.first != name && ContentPath(entry.second.record) == ContentPath(record);
    });
    if (other) {
      known_.erase(found);
      return absl::OkStatus();
    }
  }
  RETURN_IF_ERROR(AtHand());
  ASSIGN_OR_RETURN(const FileLock held,
                   LockImage(record.sha256, FileLock::Mode::kAlone, kLockPatience));
  RETURN_IF_ERROR(CheckUnused(ReadOverlayUse(overlays_), record.sha256,
                              absl::StrCat("storage ", name_, ": image ", name)));
  RETURN_IF_ERROR(RemoveFilesOf(record.sha256));
  MutexLock lock(mutex_);
  known_.erase(name);
  return absl::OkStatus();
}

absl::Status SharedStorage::RemoveFilesOf(const std::string& sha256) const {
  for (const std::string& path : FilesIn(images_, "")) {
    if (DigestOf(path) == sha256) RETURN_IF_ERROR(Remove(path));
  }
  return SyncFolder(images_);
}

bool SharedStorage::IsLeftover(const std::string& sha256, bool wanted, absl::Duration now) {
  const absl::StatusOr<FileLock> lock =
      LockImage(sha256, FileLock::Mode::kShared, absl::ZeroDuration());
  if (wanted && lock.ok()) lock->Touch();
  const absl::StatusOr<int64_t> touched = lock.ok() ? lock->Touched() : lock.status();
  MutexLock hold(mutex_);
  if (wanted || !touched.ok()) {
    idle_.erase(sha256);
    return false;
  }
  Idle& idle = idle_.try_emplace(sha256, Idle{*touched, now}).first->second;
  if (idle.touched != *touched) idle = {*touched, now};
  return now - idle.since >= kLeftoverAge;
}

absl::Status SharedStorage::RemoveLeftover(const std::string& sha256, const StopAsked& stop) {
  ASSIGN_OR_RETURN(const FileLock held,
                   LockImage(sha256, FileLock::Mode::kAlone, absl::ZeroDuration()));
  ASSIGN_OR_RETURN(const int64_t touched, held.Touched());
  {
    MutexLock lock(mutex_);
    if (idle_[sha256].touched != touched) {
      return absl::UnavailableError("it was wanted a moment ago");
    }
  }
  RETURN_IF_ERROR(CheckUnused(ReadOverlayUse(overlays_, stop), sha256, "it"));
  RETURN_IF_ERROR(RemoveFilesOf(sha256));
  MutexLock lock(mutex_);
  for (auto at = known_.begin(); at != known_.end();) {
    at = at->second.record.sha256 == sha256 ? known_.erase(at) : std::next(at);
  }
  return absl::OkStatus();
}

void SharedStorage::RemoveLeftovers(const std::set<std::string>& wanted, absl::Duration now,
                                    const StopAsked& stop) {
  if (!AtHand().ok()) return;
  std::set<std::string> digests;
  for (const std::string& path : FilesIn(images_, "")) {
    if (IsSha256(DigestOf(path))) digests.insert(DigestOf(path));
  }
  std::vector<std::string> leftovers;
  for (const std::string& sha256 : digests) {
    if (IsLeftover(sha256, wanted.count(sha256) > 0, now)) leftovers.push_back(sha256);
  }
  if (leftovers.empty()) return;
  // Most of them have a disk, which shows without their locks: nobody is to wait for that.
  const OverlayUse use = ReadOverlayUse(overlays_, stop);
  for (const std::string& sha256 : leftovers) {
    absl::Status removed = CheckUnused(use, sha256, "it");
    if (removed.ok()) removed = RemoveLeftover(sha256, stop);
    if (!removed.ok() && stop && stop()) return;
    const Severity severity =
        removed.ok() || use.unreadable.empty() ? Severity::kInfo : Severity::kWarning;
    Log(severity, removed.ok() ? "leftover-removed" : "leftover-stays",
        {{"storage", name_}, {"sha256", sha256}, {"why", std::string(removed.message())}});
    MutexLock lock(mutex_);
    if (removed.ok()) {
      idle_.erase(sha256);
    } else {
      // It is looked at again as late, and said as seldom.
      idle_[sha256].since = now;
    }
  }
}

absl::Status SharedStorage::ForgetVerified(const std::string& sha256) {
  const std::string why =
      absl::StrCat("storage ", name_, " has no verified image with SHA-256 ", sha256);
  MutexLock lock(mutex_);
  for (auto& [name, known] : known_) {
    if (known.record.sha256 != sha256 || !known.verified) continue;
    known.verified = false;
    known.error = why;
  }
  return absl::NotFoundError(why);
}

absl::StatusOr<Overlay> SharedStorage::CreateOverlay(const DiskKey& disk,
                                                     const std::string& image_sha256) {
  RETURN_IF_ERROR(AtHand());
  ASSIGN_OR_RETURN(const std::string path, DiskPath(overlays_, disk));
  // Shared: the image stays, and others may do the same.
  ASSIGN_OR_RETURN(const FileLock image,
                   LockImage(image_sha256, FileLock::Mode::kShared, kLockPatience));
  image.Touch();
  std::optional<ImageRecord> record;
  for (const char* format : {"qcow2", "raw"}) {
    ImageRecord wanted;
    wanted.sha256 = image_sha256;
    wanted.format = format;
    if (IsAsRecorded(wanted)) record = wanted;
  }
  if (!record.has_value()) return ForgetVerified(image_sha256);
  ASSIGN_OR_RETURN(const FileLock desktop, LockDesktop(disk.desktop));
  ASSIGN_OR_RETURN(const std::optional<Deed> deed, ReadDeed(DeedPath(path)));
  RETURN_IF_ERROR(MayTake(deed, disk.generation, host_));
  RETURN_IF_ERROR(MakeOneFolder(fs::path(path).parent_path().string()));
  RETURN_IF_ERROR(WriteDeed(DeedPath(path), {disk.generation, host_}));
  return MakeDisk(overlays_, disk, ContentPath(*record), *record);
}

absl::StatusOr<std::string> SharedStorage::TakeDisk(const DiskKey& disk) {
  RETURN_IF_ERROR(AtHand());
  ASSIGN_OR_RETURN(const FileLock desktop, LockDesktop(disk.desktop));
  ASSIGN_OR_RETURN(std::string path, FindDisk(overlays_, disk));
  ASSIGN_OR_RETURN(const std::optional<Deed> deed, ReadDeed(DeedPath(path)));
  RETURN_IF_ERROR(MayTake(deed, disk.generation, host_));
  RETURN_IF_ERROR(WriteDeed(DeedPath(path), {disk.generation, host_}));
  return path;
}

absl::Status SharedStorage::HandOver(const DiskKey& disk, const std::string& host) {
  RETURN_IF_ERROR(AtHand());
  ASSIGN_OR_RETURN(const FileLock desktop, LockDesktop(disk.desktop));
  ASSIGN_OR_RETURN(const std::string path, FindDisk(overlays_, disk));
  ASSIGN_OR_RETURN(const std::optional<Deed> deed, ReadDeed(DeedPath(path)));
  RETURN_IF_ERROR(MayHandOver(deed, disk.generation));
  return WriteDeed(DeedPath(path), {disk.generation, host});
}

absl::Status SharedStorage::RemoveDisks(const DiskKey& disk, const std::string& except) {
  RETURN_IF_ERROR(AtHand());
  RETURN_IF_ERROR(DiskPath(overlays_, disk).status());
  ASSIGN_OR_RETURN(const FileLock desktop, LockDesktop(disk.desktop));
  const std::string folder = absl::StrCat(overlays_, "/", disk.desktop);
  // By the deeds: each disk has one from before it was made until after it is gone.
  for (const std::string& deed_path : FilesIn(folder, ".deed")) {
    const std::string path = absl::StrCat(absl::StripSuffix(deed_path, ".deed"), ".qcow2");
    if (path == except) continue;
    ASSIGN_OR_RETURN(const std::optional<Deed> deed, ReadDeed(deed_path));
    if (!MayRemove(deed, disk.generation, host_)) continue;
    RETURN_IF_ERROR(Remove(path));
    RETURN_IF_ERROR(Remove(path + ".new"));
    RETURN_IF_ERROR(SyncFolder(folder));
    RETURN_IF_ERROR(Remove(deed_path));
  }
  rmdir(folder.c_str());
  return absl::OkStatus();
}

}  // namespace werkplek
