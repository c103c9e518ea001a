// The access token between two commands: a file that only its user can read.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"

namespace werkplek {

// What is kept of a sign-in.
struct KeptSignIn {
  Secret access_token;
  std::string user;
  std::string display_name;
  // The latest end; the broker may end it earlier.
  absl::Time expires;
};

// JSON, mode 0600, in a folder of mode 0700. A file that others can read, that is someone else's,
// or that is a symbolic link is refused, not used. Errors are this machine's own (LocalProblem).
class TokenFile {
 public:
  explicit TokenFile(std::string path) : path_(std::move(path)) {}

  // $XDG_RUNTIME_DIR/werkplek/PROGRAM.token, which lives in memory and goes with the last log-out
  // of the machine; without it ~/.cache/werkplek/PROGRAM.token.
  static absl::StatusOr<TokenFile> For(absl::string_view program);

  // UNAUTHENTICATED: there is none, or it has expired at `now`.
  absl::StatusOr<KeptSignIn> Load(absl::Time now) const;
  absl::Status Save(const KeptSignIn& sign_in) const;
  // None there is fine.
  absl::Status Remove() const;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// $XDG_RUNTIME_DIR/werkplek, or ~/.cache/werkplek: the folder for files of the moment (mode 0700).
// Made when it is missing.
absl::StatusOr<std::string> PrivateDirectory();

}  // namespace werkplek
