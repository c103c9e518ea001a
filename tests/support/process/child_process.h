// Runs real programs for tests. Every child dies with the thread that started it, also when the
// test is killed. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

struct ChildOptions {
  // Empty: the caller's.
  std::string directory;
  // NAME=value, added to the caller's.
  std::vector<std::string> environment;
  // Both streams are appended here; empty: /dev/null.
  std::string output_file;
};

class ChildProcess {
 public:
  // `arguments[0]` is looked up in PATH and in /usr/sbin. A program that cannot be run exits 127.
  explicit ChildProcess(const std::vector<std::string>& arguments,
                        const ChildOptions& options = {});
  // Kills what still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int signal);
  // Waits for the end. Exit code, or 128 + signal. nullopt: it still ran after `timeout`.
  std::optional<int> Wait(absl::Duration timeout);
  // SIGTERM, SIGKILL after 5 s, and waits.
  void Stop();

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

// Runs a program to its end and gives what it wrote (both streams). DEADLINE_EXCEEDED; INTERNAL
// with the output when it exits other than 0.
absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments,
                                       absl::Duration timeout = absl::Seconds(60),
                                       const ChildOptions& options = {});

// A fresh folder below TMPDIR that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // Writes a file of mode 0600 and gives its path.
  std::string Write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

std::string ReadWholeFile(const std::string& path);

// A free TCP port on 127.0.0.1 that no other caller gets as long as this process lives.
// deploy/quickstart/processes.py chooses in the same way. -1: there is none.
int FreeLoopbackPort();

}  // namespace werkplek
