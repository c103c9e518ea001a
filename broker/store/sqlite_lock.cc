#include "broker/store/sqlite_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<std::string> RealSqlitePath(const std::string& path) {
  std::error_code error;
  std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (error) return absl::NotFoundError(absl::StrCat(path, ": ", error.message()));
  return real;
}

absl::StatusOr<SqliteLock> SqliteLock::Take(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string real, RealSqlitePath(path));
  const std::string name = real + ".lock";
  const int descriptor = open(name.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the lock file ", name));
  }
  if (flock(descriptor, LOCK_EX | LOCK_NB) == 0) return SqliteLock(real, descriptor);
  close(descriptor);
  return absl::FailedPreconditionError(absl::StrCat(
      real, " is open in another broker. Stop that one, or give this one a store of its own."));
}

SqliteLock::SqliteLock(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

SqliteLock::SqliteLock(SqliteLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

SqliteLock::~SqliteLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace werkplek
