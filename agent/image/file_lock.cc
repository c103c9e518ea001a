#include "agent/image/file_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/image/image_file.h"

namespace werkplek {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(2);
constexpr absl::Duration kLongestPause = absl::Milliseconds(200);

}  // namespace

absl::StatusOr<FileLock> FileLock::Take(const std::string& path, Mode mode,
                                        absl::Duration patience) {
  const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return FileError(errno, "cannot open " + path);
  FileLock lock(descriptor);
  // Of this open file, not of the process: two threads exclude each other as two hosts do.
  struct flock range = {};
  range.l_type = mode == Mode::kAlone ? F_WRLCK : F_RDLCK;
  range.l_whence = SEEK_SET;
  absl::Duration waited;
  for (absl::Duration pause = kFirstPause;; pause = std::min(2 * pause, kLongestPause)) {
    if (fcntl(descriptor, F_OFD_SETLK, &range) == 0) return lock;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return FileError(errno, "cannot lock " + path);
    }
    if (waited >= patience) {
      return absl::UnavailableError(
          absl::StrCat(path, " is locked by another host or operation for longer than ",
                       absl::FormatDuration(patience)));
    }
    // A wait in the kernel could not be given up.
    absl::SleepFor(pause);
    waited += pause;
  }
}

void FileLock::Touch() const { (void)futimens(descriptor_, nullptr); }

absl::StatusOr<int64_t> FileLock::Touched() const {
  struct stat about;
  if (fstat(descriptor_, &about) != 0) return FileError(errno, "cannot look at a lock");
  return absl::ToUnixNanos(absl::TimeFromTimespec(about.st_mtim));
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace werkplek
