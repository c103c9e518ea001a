#include "client/api/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"
#include "common/base/status_macros.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr size_t kMaxBytes = 16 * 1024;

absl::Status Problem(absl::Status status) {
  return LocalProblem(std::move(status), LocalCause::kTokenFile);
}

absl::Status MakePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path)));
  }
  struct stat about = {};
  if (lstat(path.c_str(), &about) != 0) {
    return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path)));
  }
  if (!S_ISDIR(about.st_mode) || about.st_uid != geteuid() || (about.st_mode & 077) != 0) {
    return Problem(absl::FailedPreconditionError(
        absl::StrCat(path, " must be a folder of your own that nobody else can enter; try: chmod ",
                     "700 ", path)));
  }
  return absl::OkStatus();
}

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Reads the whole of a file that is ours alone.
absl::StatusOr<Secret> ReadPrivateFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0 && errno == ENOENT) return absl::UnauthenticatedError("not signed in");
  if (file < 0) {
    return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path)));
  }
  const absl::Cleanup close_file = [file] { close(file); };
  struct stat about = {};
  if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode) || about.st_uid != geteuid() ||
      (about.st_mode & 077) != 0) {
    return Problem(absl::FailedPreconditionError(absl::StrCat(
        path, " holds your access token and others can read it, so it is not used; delete it and ",
        "sign in again")));
  }
  std::string content;
  char buffer[4096];
  while (content.size() <= kMaxBytes) {
    const ssize_t got = read(file, buffer, sizeof(buffer));
    if (got < 0) {
      return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path)));
    }
    if (got == 0) return Secret(std::move(content));
    content.append(buffer, got);
  }
  return Problem(absl::InvalidArgumentError(absl::StrCat(path, " is too large")));
}

}  // namespace

absl::StatusOr<std::string> PrivateDirectory() {
  std::string base = Variable("XDG_RUNTIME_DIR");
  if (base.empty()) {
    const std::string home = Variable("HOME");
    if (home.empty()) {
      return Problem(absl::FailedPreconditionError(
          "neither XDG_RUNTIME_DIR nor HOME is set, so there is no place for private files"));
    }
    base = absl::StrCat(home, "/.cache");
    if (mkdir(base.c_str(), 0700) != 0 && errno != EEXIST) {
      return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", base)));
    }
  }
  std::string path = absl::StrCat(base, "/werkplek");
  RETURN_IF_ERROR(MakePrivateDirectory(path));
  return path;
}

absl::StatusOr<TokenFile> TokenFile::For(absl::string_view program) {
  ASSIGN_OR_RETURN(const std::string directory, PrivateDirectory());
  return TokenFile(absl::StrCat(directory, "/", program, ".token"));
}

absl::StatusOr<KeptSignIn> TokenFile::Load(absl::Time now) const {
  ASSIGN_OR_RETURN(const Secret content, ReadPrivateFile(path_));
  const nlohmann::json json = nlohmann::json::parse(content.Reveal(), nullptr, false);
  KeptSignIn kept;
  if (json.is_object() && json.value("token", nlohmann::json()).is_string() &&
      json.value("expires_unix_ms", nlohmann::json()).is_number_integer()) {
    const auto text = [&json](const char* key) {
      const auto found = json.find(key);
      return found != json.end() && found->is_string() ? found->get<std::string>() : "";
    };
    kept.access_token = Secret(json["token"].get<std::string>());
    kept.user = text("user");
    kept.display_name = text("display_name");
    kept.expires = absl::FromUnixMillis(json["expires_unix_ms"].get<int64_t>());
  }
  if (kept.access_token.empty()) {
    return Problem(absl::InvalidArgumentError(
        absl::StrCat(path_, " is damaged; delete it and sign in again")));
  }
  if (kept.expires <= now) return absl::UnauthenticatedError("the sign-in has expired");
  return kept;
}

absl::Status TokenFile::Save(const KeptSignIn& sign_in) const {
  nlohmann::json json = {{"token", sign_in.access_token.Reveal()},
                         {"user", sign_in.user},
                         {"display_name", sign_in.display_name},
                         {"expires_unix_ms", absl::ToUnixMillis(sign_in.expires)}};
  const Secret content(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  Wipe(json["token"].get_ref<std::string&>());
  return Problem(WriteFileAtomically(path_, content.Reveal(), 0600));
}

absl::Status TokenFile::Remove() const {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return Problem(absl::ErrnoToStatus(errno, absl::StrCat("cannot delete ", path_)));
  }
  return absl::OkStatus();
}

}  // namespace werkplek
