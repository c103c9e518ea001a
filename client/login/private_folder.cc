#include "client/login/private_folder.h"

#include <stdlib.h>
#include <sys/un.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"
#include "client/api/token_file.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<PrivateFolder> PrivateFolder::Make() {
  ASSIGN_OR_RETURN(const std::string base, PrivateDirectory());
  std::string path = absl::StrCat(base, "/display-XXXXXX");
  // A socket in it must fit an address (unix(7)).
  if (path.size() + sizeof("/display") > sizeof(sockaddr_un::sun_path)) {
    return LocalProblem(absl::FailedPreconditionError(
        absl::StrCat(base, " is too long for a socket; set XDG_RUNTIME_DIR to a shorter folder")));
  }
  // Mode 0700 (mkdtemp(3)).
  if (mkdtemp(path.data()) == nullptr) {
    return LocalProblem(absl::ErrnoToStatus(errno, absl::StrCat("cannot make a folder in ", base)));
  }
  return PrivateFolder(std::move(path));
}

PrivateFolder::~PrivateFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace werkplek
