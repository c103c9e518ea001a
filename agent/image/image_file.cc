#include "agent/image/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kBlockBytes = 1 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

class Hasher {
 public:
  Hasher() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(const char* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string Finish() {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest, &size);
    return HexEncode(absl::string_view(reinterpret_cast<char*>(digest), size));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

int64_t Nanoseconds(const statx_timestamp& time) { return time.tv_sec * 1000000000 + time.tv_nsec; }

absl::StatusOr<size_t> ReadBlock(int fd, std::vector<char>& block, const std::string& path) {
  for (;;) {
    const ssize_t count = read(fd, block.data(), block.size());
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR) return FileError(errno, "cannot read " + path);
  }
}

absl::Status WriteAll(int fd, absl::string_view data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError(errno, "cannot write " + path);
    data.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status WriteBlock(int fd, absl::string_view data, const std::string& path) {
  // A block is zero when it starts with a zero and each byte equals the next.
  const bool zeros = data[0] == '\0' && memcmp(data.data(), data.data() + 1, data.size() - 1) == 0;
  if (!zeros) return WriteAll(fd, data, path);
  return lseek(fd, static_cast<off_t>(data.size()), SEEK_CUR) < 0
             ? FileError(errno, "cannot write " + path)
             : absl::OkStatus();
}

absl::StatusOr<std::string> CopyBlocks(int from, int to, const std::string& source,
                                       const std::string& target) {
  Hasher hasher;
  std::vector<char> block(kBlockBytes);
  uint64_t copied = 0;
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, ReadBlock(from, block, source));
    if (count == 0) break;
    hasher.Add(block.data(), count);
    RETURN_IF_ERROR(WriteBlock(to, absl::string_view(block.data(), count), target));
    copied += count;
  }
  if (ftruncate(to, static_cast<off_t>(copied)) != 0 || fsync(to) != 0) {
    return FileError(errno, "cannot write " + target);
  }
  return hasher.Finish();
}

absl::Status SyncPath(const std::string& path, int flags) {
  const Descriptor fd(open(path.c_str(), flags | O_CLOEXEC));
  if (fd.get() < 0 || fsync(fd.get()) != 0) return FileError(errno, "cannot sync " + path);
  return absl::OkStatus();
}

}  // namespace

absl::Status FileError(int error, const std::string& what) {
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat(what, ": the disk is full"));
  }
  return absl::ErrnoToStatus(error, what);
}

absl::StatusOr<FileFacts> ReadFacts(const std::string& path) {
  struct statx stat;
  if (statx(AT_FDCWD, path.c_str(), 0, STATX_BASIC_STATS | STATX_BTIME, &stat) != 0) {
    return FileError(errno, path);
  }
  if (!S_ISREG(stat.stx_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is no plain file"));
  }
  FileFacts facts;
  facts.size_bytes = stat.stx_size;
  facts.modified_unix_ns = Nanoseconds(stat.stx_mtime);
  facts.identity = absl::StrCat(makedev(stat.stx_dev_major, stat.stx_dev_minor), ":", stat.stx_ino);
  // Where the file system keeps no birth: the time of a fresh file's last change.
  facts.created_unix_ns =
      Nanoseconds((stat.stx_mask & STATX_BTIME) != 0 ? stat.stx_btime : stat.stx_ctime);
  return facts;
}

absl::StatusOr<std::string> HashFile(const std::string& path) {
  const Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, "cannot open " + path);
  Hasher hasher;
  std::vector<char> block(kBlockBytes);
  for (;;) {
    ASSIGN_OR_RETURN(const size_t count, ReadBlock(fd.get(), block, path));
    if (count == 0) return hasher.Finish();
    hasher.Add(block.data(), count);
  }
}

absl::StatusOr<std::string> CopyAndHash(const std::string& source, const std::string& target) {
  const Descriptor from(open(source.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.get() < 0) return FileError(errno, "cannot open " + source);
  const Descriptor to(open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (to.get() < 0) return FileError(errno, "cannot make " + target);
  absl::StatusOr<std::string> digest = CopyBlocks(from.get(), to.get(), source, target);
  if (!digest.ok()) unlink(target.c_str());
  return digest;
}

absl::Status WriteWhole(const std::string& path, const std::string& content) {
  const std::string part = path + ".part";
  {
    const Descriptor fd(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (fd.get() < 0) return FileError(errno, "cannot make " + part);
    absl::Status written = WriteAll(fd.get(), content, part);
    if (written.ok() && fsync(fd.get()) != 0) written = FileError(errno, "cannot write " + part);
    if (!written.ok()) {
      unlink(part.c_str());
      return written;
    }
  }
  if (rename(part.c_str(), path.c_str()) != 0) return FileError(errno, "cannot rename " + part);
  return SyncFolder(path.substr(0, path.rfind('/')));
}

absl::Status SyncFolder(const std::string& path) { return SyncPath(path, O_RDONLY | O_DIRECTORY); }
absl::Status SyncFile(const std::string& path) { return SyncPath(path, O_RDONLY); }

}  // namespace werkplek
