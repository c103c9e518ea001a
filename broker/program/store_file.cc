#include "broker/program/store_file.h"

#include <fcntl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"
#include "etcd_proto/layout.pb.h"

namespace werkplek {
namespace {

// What every version of the file begins with.
constexpr absl::string_view kFamily = "werkplek-store ";
constexpr absl::string_view kMagic = "werkplek-store 1\n";

absl::Status DamagedFile(const std::string& path) {
  return absl::DataLossError(absl::StrCat(
      path, " is cut or was changed; nothing of it was used. Make it again, or use another copy."));
}

// A digest over messages, one after another.
class Chain {
 public:
  void Add(const etcd::StoreFilePart& part) {
    digest_ = Sha256(absl::StrCat(digest_, part.SerializeAsString()));
    ++count_;
  }
  uint64_t count() const { return count_; }
  const std::string& digest() const { return digest_; }

 private:
  std::string digest_;
  uint64_t count_ = 0;
};

absl::Status WriteAll(const std::string& path, uint64_t epoch,
                      const std::function<absl::Status(const TakeChange&)>& read_all) {
  std::ofstream file(path, std::ios::binary);
  Chain chain;
  const auto written = [&file] {
    return file.good() ? absl::OkStatus()
                       : absl::ResourceExhaustedError(
                             "the file could not be written; make room on its disk");
  };
  const auto write = [&](const etcd::StoreFilePart& part) {
    chain.Add(part);
    google::protobuf::util::SerializeDelimitedToOstream(part, &file);
    return written();
  };
  file << std::string(kMagic);
  etcd::StoreFilePart part;
  part.mutable_head()->set_epoch(epoch);
  RETURN_IF_ERROR(write(part));
  RETURN_IF_ERROR(read_all([&](v1::Change& change) {
    *part.mutable_change() = change;
    return write(part);
  }));
  part.mutable_end()->set_parts(chain.count());
  part.mutable_end()->set_digest(chain.digest());
  google::protobuf::util::SerializeDelimitedToOstream(part, &file);
  file.flush();
  return written();
}

absl::Status CheckRoom(const std::string& path, uint64_t size) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  struct statvfs disk;
  if (statvfs(parent.empty() ? "." : parent.c_str(), &disk) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  }
  const uint64_t free = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (free >= kFreeBeside && free - kFreeBeside >= size) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("cannot make ", path, ": its file system has ", free >> 20,
                   " MiB free; the store takes ", size >> 20, " MiB, and ", kFreeBeside >> 20,
                   " MiB must stay free. Make room, or choose another file system."));
}

// Gives `from` the name `to`, unless that is taken.
absl::Status TakeName(const std::string& from, const std::string& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
    return absl::OkStatus();
  }
  // NFS knows no such renaming; a second name for the file does as well.
  if (errno == EINVAL && link(from.c_str(), to.c_str()) == 0) {
    unlink(from.c_str());
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", to));
}

absl::Status CheckMagic(std::istream& file, const std::string& path) {
  std::string magic(kMagic.size(), '\0');
  file.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  if (magic == std::string(kMagic)) return absl::OkStatus();
  const absl::string_view known = kMagic.substr(0, kMagic.size() - 1);
  if (file.good() && absl::StartsWith(magic, kFamily)) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " was written by a newer Werkplek: it does not begin with `", known,
                     "`. Install the newer version."));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is not an export or a backup of a store; it does not begin with `", known, "`"));
}

}  // namespace

absl::StatusOr<StoreFileFacts> WriteStoreFile(
    const std::string& path, uint64_t epoch, uint64_t size,
    const std::function<absl::Status(const TakeChange&)>& read_all) {
  // Before all the work; the name is only taken at the end.
  if (access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(
        absl::StrCat("cannot make ", path, ": it is there already; choose another name"));
  }
  RETURN_IF_ERROR(CheckRoom(path, size));
  // Mode 0600.
  std::string fresh = path + ".XXXXXX";
  const int fd = mkostemp(fresh.data(), O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  absl::Cleanup remove = [&fresh] { unlink(fresh.c_str()); };
  absl::Cleanup shut = [fd] { close(fd); };
  RETURN_IF_ERROR(WriteAll(fresh, epoch, read_all));
  if (fsync(fd) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("fsync of ", path));
  ASSIGN_OR_RETURN(const StoreFileFacts facts,
                   ReadStoreFile(fresh, [](v1::Change&) { return absl::OkStatus(); }));
  RETURN_IF_ERROR(TakeName(fresh, path));
  std::move(remove).Cancel();
  RETURN_IF_ERROR(SyncFolderOf(path));
  return facts;
}

absl::StatusOr<StoreFileFacts> ReadStoreFile(const std::string& path, const TakeChange& take) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  RETURN_IF_ERROR(CheckMagic(file, path));
  google::protobuf::io::IstreamInputStream stream(&file);
  Chain chain;
  StoreFileFacts facts;
  for (bool clean_end = false;;) {
    etcd::StoreFilePart part;
    if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&part, &stream, &clean_end)) {
      return DamagedFile(path);
    }
    if (part.has_end()) {
      const bool whole = part.end().parts() == chain.count() &&
                         part.end().digest() == chain.digest() && facts.epoch != 0 &&
                         facts.epoch <= kMaxStoreFileEpoch;
      if (!whole) return DamagedFile(path);
      return facts;
    }
    chain.Add(part);
    if (part.has_head()) facts.epoch = part.head().epoch();
    if (!part.has_change()) continue;
    ++facts.records;
    RETURN_IF_ERROR(take(*part.mutable_change()));
  }
}

}  // namespace werkplek
