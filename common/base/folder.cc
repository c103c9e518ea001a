#include "common/base/folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

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

}  // namespace werkplek
