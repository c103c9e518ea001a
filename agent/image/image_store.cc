#include "agent/image/image_store.h"

#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/image/image_copy.h"
#include "agent/image/image_declaration.h"
#include "agent/image/image_file.h"
#include "agent/image/image_record.h"
#include "agent/image/overlay_use.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;

absl::Status FolderError(const std::error_code& error, const std::string& what) {
  return FileError(error.value(), what);
}

}  // namespace

// Under `images`: SHA256.FORMAT, the content, never changed; NAME.json, the record that a name
// stands for it; *.part, work that is not done. Under `overlays`: the disks (disk_file.h).
class ImageStore::Impl {
 public:
  Impl(const std::string& root, std::vector<std::string> image_folders)
      : images_(root + "/images"),
        overlays_(root + "/overlays"),
        image_folders_(std::move(image_folders)) {}

  absl::Status Load();
  absl::Status Fetch(const std::string& name, const v1::Image& image);
  std::vector<v1::ImageReport> Report() const;
  absl::StatusOr<Overlay> CreateOverlay(const DiskKey& disk, const std::string& image_sha256);
  absl::StatusOr<std::string> FindDisk(const DiskKey& disk) const {
    return werkplek::FindDisk(overlays_, disk);
  }
  absl::Status RemoveOverlays(const std::string& desktop, const std::string& except);
  absl::Status Drop(const std::string& name);
  void RemoveLeftovers(const StopAsked& stop) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Entry {
    // What the name stands for on disk; an empty digest: nothing was ever fetched.
    ImageRecord record;
    bool verified = false;
    // Why the content is not verified any more, or why the last fetch failed.
    std::string error;
    // The digest that the last fetch, which failed, was to bring; empty: it did not fail.
    std::string failed_sha256;
    std::optional<ImageRefusal> refusal;
  };

  std::string ContentPath(const ImageRecord& record) const {
    return absl::StrCat(images_, "/", record.sha256, ".", record.format);
  }
  std::string RecordPath(const std::string& name) const {
    return absl::StrCat(images_, "/", name, ".json");
  }
  // Whether the content is as recorded; reads it all when it was touched.
  absl::Status Judge(ImageRecord& record) const;
  // Fills `refusal` when reading the same source again could only fail again.
  absl::Status FetchContent(const v1::Image& image, ImageRecord& record,
                            std::optional<ImageRefusal>& refusal);
  // The refusal that the name's last fetch left; none when another name has the content verified.
  std::optional<ImageRefusal> LastRefusal(const std::string& name, const ImageRecord& wanted) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RemoveContent(const std::string& name, const std::string& content)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsNamed(const std::string& content) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The name stands for this content now. True: it stood for another one before.
  bool KeepAs(const std::string& name, const ImageRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Content that no name stands for, marked as busy: no fetch gives it a name meanwhile.
  std::vector<std::string> TakeLeftovers() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string images_;
  const std::string overlays_;
  const std::vector<std::string> image_folders_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  // Digests whose content is being judged, copied or removed.
  std::set<std::string> busy_ ABSL_GUARDED_BY(mutex_);
};

absl::Status ImageStore::Impl::Load() {
  for (const std::string& folder : {images_, overlays_}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return FolderError(error, "cannot make " + folder);
  }
  for (const std::string& part : FilesIn(images_, ".part")) unlink(part.c_str());
  MutexLock lock(mutex_);
  for (const std::string& path : FilesIn(images_, ".json")) {
    const std::string name = fs::path(path).stem().string();
    // No record of ours; nobody could ask for an image of that name.
    if (!IsPlainName(name)) continue;
    absl::StatusOr<ImageRecord> record = ReadRecord(path);
    if (!record.ok()) {
      // Without its record the name is unknown; a fetch finds the content again.
      Log(Severity::kWarning, "image-record", {{"error", std::string(record.status().message())}});
      unlink(path.c_str());
      continue;
    }
    Entry entry;
    entry.record = *std::move(record);
    // One that was touched is read by its next fetch, which may take minutes: no desktop is fenced
    // before the agent is up.
    const absl::StatusOr<FileFacts> facts = ReadFacts(ContentPath(entry.record));
    entry.verified = facts.ok() && SameContent(*facts, entry.record.facts);
    if (!entry.verified) Log(Severity::kWarning, "image-touched", {{"image", name}});
    entries_[name] = std::move(entry);
  }
  return absl::OkStatus();
}

absl::Status ImageStore::Impl::Judge(ImageRecord& record) const {
  const std::string path = ContentPath(record);
  ASSIGN_OR_RETURN(const FileFacts facts, ReadFacts(path));
  if (SameContent(facts, record.facts)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string digest, HashFile(path));
  if (digest != record.sha256) {
    return absl::DataLossError(absl::StrCat("the copy on this host is damaged: its SHA-256 is ",
                                            digest, ", not ", record.sha256));
  }
  record.facts = facts;
  return absl::OkStatus();
}

std::optional<ImageRefusal> ImageStore::Impl::LastRefusal(const std::string& name,
                                                          const ImageRecord& wanted) const {
  for (const auto& [other, entry] : entries_) {
    if (entry.verified && ContentPath(entry.record) == ContentPath(wanted)) return std::nullopt;
  }
  const auto found = entries_.find(name);
  return found == entries_.end() ? std::nullopt : found->second.refusal;
}

absl::Status ImageStore::Impl::FetchContent(const v1::Image& image, ImageRecord& record,
                                            std::optional<ImageRefusal>& refusal) {
  const std::string content = ContentPath(record);
  RETURN_IF_ERROR(CopyImage(image, image_folders_, content, content + ".part", refusal));
  ASSIGN_OR_RETURN(record.facts, ReadFacts(content));
  return absl::OkStatus();
}

absl::Status ImageStore::Impl::Fetch(const std::string& name, const v1::Image& image) {
  RETURN_IF_ERROR(CheckDeclaration(name, image));
  ImageRecord record;
  record.sha256 = image.sha256();
  record.format = image.format();
  std::optional<ImageRefusal> refusal;
  {
    MutexLock lock(mutex_);
    while (busy_.count(record.sha256) > 0) changed_.Wait(mutex_);
    busy_.insert(record.sha256);
    refusal = LastRefusal(name, record);
    // Another name, or an earlier fetch, may have the content here already.
    for (const auto& [other, entry] : entries_) {
      if (entry.record.sha256 == record.sha256 && entry.record.format == record.format) {
        record.facts = entry.record.facts;
      }
    }
  }
  // Outside the lock: a big copy keeps nobody from another image's overlays.
  absl::Status status;
  if (refusal.has_value() && IsAboutSameSource(*refusal, image)) {
    status = refusal->why;
  } else {
    refusal.reset();
    status = Judge(record);
    if (absl::IsDataLoss(status)) {
      Log(Severity::kError, "image-damaged",
          {{"image", name}, {"error", std::string(status.message())}});
    }
    if (!status.ok()) status = FetchContent(image, record, refusal);
  }
  if (status.ok()) status = WriteRecord(RecordPath(name), record);

  bool replaces = false;
  {
    MutexLock lock(mutex_);
    busy_.erase(record.sha256);
    changed_.SignalAll();
    if (!status.ok()) {
      entries_[name].error = std::string(status.message());
      entries_[name].failed_sha256 = record.sha256;
      entries_[name].refusal = std::move(refusal);
      return status;
    }
    replaces = KeepAs(name, record);
  }
  if (replaces) RemoveLeftovers(/*stop=*/{});
  return absl::OkStatus();
}

bool ImageStore::Impl::KeepAs(const std::string& name, const ImageRecord& record) {
  const std::string before = entries_[name].record.sha256;
  Entry fetched;
  fetched.record = record;
  fetched.verified = true;
  entries_[name] = std::move(fetched);
  for (auto& [other, entry] : entries_) {
    if (ContentPath(entry.record) != ContentPath(record)) continue;
    entry.record = record;
    entry.verified = true;
    if (entry.failed_sha256.empty()) entry.error.clear();
  }
  return !before.empty() && before != record.sha256;
}

std::vector<v1::ImageReport> ImageStore::Impl::Report() const {
  MutexLock lock(mutex_);
  std::vector<v1::ImageReport> reports;
  for (const auto& [name, entry] : entries_) {
    v1::ImageReport& report = reports.emplace_back();
    report.set_image(name);
    const bool failed = !entry.failed_sha256.empty();
    report.set_sha256(failed ? entry.failed_sha256 : entry.record.sha256);
    report.set_verified(entry.verified && !failed);
    report.set_error(entry.error);
  }
  return reports;
}

absl::StatusOr<Overlay> ImageStore::Impl::CreateOverlay(const DiskKey& disk,
                                                        const std::string& image_sha256) {
  // Held to the end: no image goes between the look at it and the overlay.
  MutexLock lock(mutex_);
  Entry* entry = nullptr;
  for (auto& [name, candidate] : entries_) {
    if (candidate.record.sha256 == image_sha256 && candidate.verified) entry = &candidate;
  }
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat("no verified image with SHA-256 ", image_sha256));
  }
  const std::string content = ContentPath(entry->record);
  const absl::StatusOr<FileFacts> facts = ReadFacts(content);
  if (!facts.ok() || !SameContent(*facts, entry->record.facts)) {
    entry->verified = false;
    entry->error = absl::StrCat(content, " was changed since it was verified; fetch it again");
    return absl::NotFoundError(entry->error);
  }
  return MakeDisk(overlays_, disk, content, entry->record);
}

absl::Status ImageStore::Impl::RemoveOverlays(const std::string& desktop,
                                              const std::string& except) {
  if (!IsPlainName(desktop)) {
    return absl::InvalidArgumentError("desktop: must be 1 to 63 of [a-z0-9.-]");
  }
  const std::string folder = absl::StrCat(overlays_, "/", desktop);
  MutexLock lock(mutex_);
  bool empty = true;
  for (const std::string& path : FilesIn(folder, "")) {
    if (path == except) {
      empty = false;
    } else if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return FileError(errno, "cannot remove " + path);
    }
  }
  if (empty) rmdir(folder.c_str());
  return absl::OkStatus();
}

bool ImageStore::Impl::IsNamed(const std::string& content) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) {
    return ContentPath(entry.second.record) == content;
  });
}

std::vector<std::string> ImageStore::Impl::TakeLeftovers() {
  MutexLock lock(mutex_);
  std::vector<std::string> leftovers;
  for (const char* end : {".qcow2", ".raw"}) {
    for (const std::string& content : FilesIn(images_, end)) {
      if (IsNamed(content) || !busy_.insert(DigestOf(content)).second) continue;
      leftovers.push_back(content);
    }
  }
  return leftovers;
}

void ImageStore::Impl::RemoveLeftovers(const StopAsked& stop) {
  const std::vector<std::string> leftovers = TakeLeftovers();
  if (leftovers.empty()) return;
  // Outside the lock: it takes seconds for hundreds of overlays. None is made on a leftover.
  const OverlayUse use = ReadOverlayUse(overlays_, stop);
  for (const std::string& content : leftovers) {
    if (CheckUnused(use, DigestOf(content), "it").ok()) unlink(content.c_str());
  }
  MutexLock lock(mutex_);
  for (const std::string& content : leftovers) busy_.erase(DigestOf(content));
  changed_.SignalAll();
}

absl::Status ImageStore::Impl::Drop(const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return absl::OkStatus();
  const Entry entry = std::move(found->second);
  entries_.erase(found);
  const std::string content = ContentPath(entry.record);
  absl::Status status;
  if (!entry.record.sha256.empty() && !IsNamed(content)) {
    status = RemoveContent(name, content);
  }
  if (!status.ok()) {
    entries_[name] = entry;
    return status;
  }
  unlink(RecordPath(name).c_str());
  return SyncFolder(images_);
}

absl::Status ImageStore::Impl::RemoveContent(const std::string& name, const std::string& content) {
  if (busy_.count(DigestOf(content)) > 0) {
    return absl::FailedPreconditionError(absl::StrCat("image ", name, " is being fetched"));
  }
  RETURN_IF_ERROR(
      CheckUnused(ReadOverlayUse(overlays_), DigestOf(content), absl::StrCat("image ", name)));
  if (unlink(content.c_str()) != 0 && errno != ENOENT) {
    return FileError(errno, "cannot remove " + content);
  }
  return absl::OkStatus();
}

ImageStore::ImageStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageStore::ImageStore(ImageStore&&) noexcept = default;
ImageStore& ImageStore::operator=(ImageStore&&) noexcept = default;
ImageStore::~ImageStore() = default;

absl::StatusOr<ImageStore> ImageStore::Open(const std::string& root,
                                            const std::vector<std::string>& image_folders) {
  if (!absl::StartsWith(root, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image store '", root, "' must be an absolute path"));
  }
  std::error_code error;
  fs::create_directories(root, error);
  if (error) return FolderError(error, "cannot make " + root);
  // Overlays name their images by path: there must be one spelling of it.
  const fs::path canonical = fs::canonical(root, error);
  if (error) return FolderError(error, root);
  auto impl = std::make_unique<Impl>(canonical.string(), image_folders);
  RETURN_IF_ERROR(impl->Load());
  return ImageStore(std::move(impl));
}

absl::Status ImageStore::Fetch(const std::string& name, const v1::Image& image) {
  return impl_->Fetch(name, image);
}
std::vector<v1::ImageReport> ImageStore::Report() const { return impl_->Report(); }
absl::StatusOr<Overlay> ImageStore::CreateOverlay(const DiskKey& disk,
                                                  const std::string& image_sha256) {
  return impl_->CreateOverlay(disk, image_sha256);
}
absl::StatusOr<std::string> ImageStore::FindDisk(const DiskKey& disk) const {
  return impl_->FindDisk(disk);
}
absl::Status ImageStore::RemoveOverlays(const std::string& desktop, const std::string& except) {
  return impl_->RemoveOverlays(desktop, except);
}
absl::Status ImageStore::Drop(const std::string& name) { return impl_->Drop(name); }
void ImageStore::RemoveLeftovers(const StopAsked& stop) { impl_->RemoveLeftovers(stop); }

}  // namespace werkplek
