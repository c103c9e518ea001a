// Runs a helper program (qemu-img, a trial QEMU, a fence agent) to its end, without a shell.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace werkplek {

struct SubprocessResult {
  // Or 128 + the signal that ended it.
  int exit_code = 0;
  // Each stream is kept up to `kMaxSubprocessOutput` bytes; more is read and dropped.
  std::string output;
  std::string errors;
};

inline constexpr size_t kMaxSubprocessOutput = 1 << 20;

// What a program can read before it is refused: it fits into a pipe whole.
inline constexpr size_t kMaxSubprocessInput = 32 << 10;

struct SubprocessOptions {
  // What it reads from standard input, at most kMaxSubprocessInput bytes.
  std::string input;
  // Asked a few times a second; true: it is killed, and the result is CANCELLED.
  std::function<bool()> cancelled;
};

// `arguments[0]` is looked up in PATH. The program gets no descriptor of ours, the C locale and
// default signals. Blocks; thread-safe. NOT_FOUND: no such program. DEADLINE_EXCEEDED: it did not
// end within `bound` and was killed. Its exit code is no error here.
absl::StatusOr<SubprocessResult> RunSubprocess(const std::vector<std::string>& arguments,
                                               absl::Duration bound,
                                               const SubprocessOptions& options = {});

// As above; INTERNAL, with what it wrote to standard error, when it exits other than 0. ABORTED: a
// signal ended it.
absl::StatusOr<std::string> RunSubprocessOrFail(const std::vector<std::string>& arguments,
                                                absl::Duration bound);

}  // namespace werkplek
