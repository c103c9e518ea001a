#include "common/base/folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status MakeOne(const std::string& path, mode_t mode) {
  // chmod: the umask of our programs would close it to all but the maker.
  if (mkdir(path.c_str(), mode) == 0 && chmod(path.c_str(), mode) == 0) return absl::OkStatus();
  int error = errno;
  if (error == EEXIST) {
    struct stat about {};
    if (stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return absl::OkStatus();
    error = ENOTDIR;
  }
  return absl::PermissionDeniedError(
      absl::StrCat(path, ": cannot make this folder: ", std::strerror(error)));
}

}  // namespace

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  if (path.size() > 1 && path.back() == '/') {
    return MakeFolder(path.substr(0, path.size() - 1), mode);
  }
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    RETURN_IF_ERROR(MakeOne(path.substr(0, slash), 0755));
  }
  return MakeOne(path, mode);
}

absl::Status SyncFolderOf(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", folder));
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, "fsync of " + folder);
}

}  // namespace werkplek
