#include "agent/image/image_copy.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "agent/image/image_declaration.h"
#include "agent/image/qemu_img.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;

// A disk that reads other files of the host would show them to whoever uses the desktop.
absl::Status CheckDisk(const std::string& path, const std::string& format) {
  const absl::StatusOr<DiskInfo> disk = ReadDisk(path, format);
  if (!disk.ok()) {
    // That qemu-img could not run to its end says nothing about the disk.
    if (!absl::IsInternal(disk.status())) return disk.status();
    return absl::FailedPreconditionError(
        absl::StrCat("format: it is no ", format, " disk: ", disk.status().message()));
  }
  if (!disk->backing.empty() || !disk->data_file.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the disk wants another file (", disk->backing, disk->data_file,
                     "); give one that stands alone (qemu-img convert)"));
  }
  return absl::OkStatus();
}

// The source with all links followed, so that what is judged is what is opened.
absl::StatusOr<std::string> FindSource(const v1::Image& image,
                                       const std::vector<std::string>& folders) {
  ASSIGN_OR_RETURN(std::string source, SourcePath(image.source()));
  if (folders.empty()) return source;
  std::error_code error;
  const std::string real = fs::canonical(source, error).string();
  if (error) return FileError(error.value(), source);
  std::vector<std::string> real_folders;
  for (const std::string& folder : folders) {
    const fs::path real_folder = fs::canonical(folder, error);
    if (!error) real_folders.push_back(real_folder.string());
  }
  if (LiesIn(real, real_folders)) return real;
  return absl::PermissionDeniedError(
      absl::StrCat("source: ", source, " is in truth ", real,
                   ", which lies in none of this host's image folders; put the file itself there"));
}

}  // namespace

absl::Status CheckSpace(const std::string& folder, uint64_t size_bytes) {
  struct statvfs disk;
  if (statvfs(folder.c_str(), &disk) != 0) return FileError(errno, folder);
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (size_bytes <= free_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the image has ", size_bytes, " bytes, ", folder, " has room for ", free_bytes));
}

bool IsAboutSameSource(const ImageRefusal& refusal, const v1::Image& image) {
  if (refusal.declared.source() != image.source() || refusal.declared.sha256() != image.sha256() ||
      refusal.declared.format() != image.format() ||
      refusal.declared.size_bytes() != image.size_bytes()) {
    return false;
  }
  const absl::StatusOr<std::string> source = SourcePath(image.source());
  if (!source.ok()) return false;
  const absl::StatusOr<FileFacts> facts = ReadFacts(*source);
  return facts.ok() && SameFile(*facts, refusal.source);
}

absl::Status CopyImage(const v1::Image& image, const std::vector<std::string>& folders,
                       const std::string& content, const std::string& part,
                       std::optional<ImageRefusal>& refusal) {
  ASSIGN_OR_RETURN(const std::string source, FindSource(image, folders));
  ASSIGN_OR_RETURN(const FileFacts facts, ReadFacts(source));
  if (image.size_bytes() != 0 && facts.size_bytes != image.size_bytes()) {
    return absl::FailedPreconditionError(absl::StrCat("size_bytes: ", source, " has ",
                                                      facts.size_bytes, " bytes, declared are ",
                                                      image.size_bytes()));
  }
  const std::string folder = fs::path(content).parent_path().string();
  RETURN_IF_ERROR(CheckSpace(folder, facts.size_bytes));
  unlink(part.c_str());
  ASSIGN_OR_RETURN(const std::string digest, CopyAndHash(source, part));
  absl::Status status;
  if (digest != image.sha256()) {
    status = absl::FailedPreconditionError(
        absl::StrCat("sha256: ", source, " has ", digest, ", declared is ", image.sha256()));
  }
  if (status.ok()) status = CheckDisk(part, image.format());
  if (status.code() == absl::StatusCode::kFailedPrecondition) {
    // Not when it was written meanwhile: what was read is then nothing that is there.
    const absl::StatusOr<FileFacts> after = ReadFacts(source);
    if (after.ok() && SameFile(*after, facts)) refusal = ImageRefusal{image, facts, status};
  }
  // Over a damaged copy, too: who has that one open keeps it, everybody else gets the good one.
  if (status.ok() && rename(part.c_str(), content.c_str()) != 0) {
    status = FileError(errno, "cannot rename " + part);
  }
  if (!status.ok()) {
    unlink(part.c_str());
    return status;
  }
  return SyncFolder(folder);
}

}  // namespace werkplek
