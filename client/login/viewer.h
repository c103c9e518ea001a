// The viewer program, as a child process.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

class Viewer {
 public:
  // Starts `command` (a program and its flags, separated by spaces; found in PATH) with `url` as
  // its last argument. The ticket is not in it. NOT_FOUND and the like: it cannot be started.
  static absl::StatusOr<std::unique_ptr<Viewer>> Start(const std::string& command,
                                                       const std::string& url);
  // Ends the program when it still runs: asks it first (SIGTERM), then insists.
  ~Viewer();
  Viewer(const Viewer&) = delete;
  Viewer& operator=(const Viewer&) = delete;

  // Readable once the program has ended (pidfd_open(2)).
  int descriptor() const { return descriptor_; }

  // Waits up to `timeout`: the exit code (128 + signal when it was killed), or nothing yet.
  std::optional<int> Wait(absl::Duration timeout);

 private:
  Viewer(pid_t process, int descriptor) : process_(process), descriptor_(descriptor) {}

  const pid_t process_;
  const int descriptor_;
  std::optional<int> code_;
};

}  // namespace werkplek
