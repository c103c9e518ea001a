#include "common/subprocess/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

// glibc 2.36 declares it without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace werkplek {
namespace {

constexpr absl::Duration kCancelPoll = absl::Milliseconds(100);

absl::Duration Monotonic() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

// The reading end of a pipe whose writing end the child gets.
struct Pipe {
  int read_end = -1;
  int write_end = -1;
  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseWriteEnd();
    if (read_end >= 0) close(read_end);
  }
  absl::Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe");
    read_end = ends[0];
    write_end = ends[1];
    return absl::OkStatus();
  }
  void CloseWriteEnd() {
    if (write_end >= 0) close(write_end);
    write_end = -1;
  }
  // Appends what is there; closes at the end of the stream.
  void Drain(std::string& text) {
    char buffer[16384];
    const ssize_t count = read(read_end, buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, std::min<size_t>(count, kMaxSubprocessOutput - text.size()));
    } else if (count == 0 || errno != EINTR) {
      close(read_end);
      read_end = -1;
    }
  }
};

// The whole of it waits in the pipe before the program is there to read it.
absl::Status Fill(const std::string& input, Pipe& pipe) {
  if (input.size() > kMaxSubprocessInput) {
    return absl::InvalidArgumentError(absl::StrCat("an input of ", input.size(), " bytes"));
  }
  RETURN_IF_ERROR(pipe.Open());
  const ssize_t written = input.empty() ? 0 : write(pipe.write_end, input.data(), input.size());
  if (written != static_cast<ssize_t>(input.size())) return absl::ErrnoToStatus(errno, "pipe");
  pipe.CloseWriteEnd();
  return absl::OkStatus();
}

absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& arguments, const Pipe& input,
                            const Pipe& output, const Pipe& errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  absl::Cleanup free_actions = [&actions] { posix_spawn_file_actions_destroy(&actions); };
  posix_spawn_file_actions_adddup2(&actions, input.read_end, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output.write_end, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.write_end, STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  absl::Cleanup free_attributes = [&attributes] { posix_spawnattr_destroy(&attributes); };
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const char* path = getenv("PATH");
  std::string path_variable = absl::StrCat("PATH=", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
  std::string locale = "LC_ALL=C";
  char* const environment[] = {path_variable.data(), locale.data(), nullptr};

  pid_t pid = -1;
  const int error = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environment);
  if (error != 0) return absl::ErrnoToStatus(error, absl::StrCat("cannot run ", arguments[0]));
  return pid;
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

}  // namespace

absl::StatusOr<SubprocessResult> RunSubprocess(const std::vector<std::string>& arguments,
                                               absl::Duration bound,
                                               const SubprocessOptions& options) {
  if (arguments.empty()) return absl::InvalidArgumentError("no program given");
  const absl::Duration deadline = Monotonic() + bound;
  Pipe input, output, errors;
  RETURN_IF_ERROR(Fill(options.input, input));
  RETURN_IF_ERROR(output.Open());
  RETURN_IF_ERROR(errors.Open());
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(arguments, input, output, errors));
  output.CloseWriteEnd();
  errors.CloseWriteEnd();
  const int ended = pidfd_open(pid, 0);
  absl::Cleanup close_ended = [ended] { close(ended); };

  SubprocessResult result;
  int wait_status = 0;
  for (;;) {
    const bool cancelled = options.cancelled && options.cancelled();
    absl::Duration left = cancelled ? absl::ZeroDuration() : deadline - Monotonic();
    const bool look_again = options.cancelled && left > kCancelPoll;
    if (look_again) left = kCancelPoll;
    pollfd watched[] = {
        {ended, POLLIN, 0}, {output.read_end, POLLIN, 0}, {errors.read_end, POLLIN, 0}};
    const int ready = left > absl::ZeroDuration()
                          ? poll(watched, 3, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1)
                          : 0;
    if ((ready < 0 && errno == EINTR) || (ready == 0 && look_again)) continue;
    if (ready <= 0) {
      // A child in an uninterruptible call (a broken /dev/kvm) may never be reaped: do not wait.
      kill(pid, SIGKILL);
      pollfd dead = {ended, POLLIN, 0};
      if (poll(&dead, 1, 1000) == 1) waitpid(pid, &wait_status, 0);
      if (cancelled) return absl::CancelledError(absl::StrCat(arguments[0], " was given up"));
      return absl::DeadlineExceededError(
          absl::StrCat(arguments[0], " did not end within ", absl::FormatDuration(bound)));
    }
    if (watched[1].revents != 0) output.Drain(result.output);
    if (watched[2].revents != 0) errors.Drain(result.errors);
    // The streams first: a grandchild could hold them open for ever, so the end of the child wins
    // once nothing more is waiting there.
    if (watched[0].revents != 0 && watched[1].revents == 0 && watched[2].revents == 0) break;
  }
  waitpid(pid, &wait_status, 0);
  result.exit_code = ExitCode(wait_status);
  return result;
}

absl::StatusOr<std::string> RunSubprocessOrFail(const std::vector<std::string>& arguments,
                                                absl::Duration bound) {
  ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(arguments, bound));
  if (result.exit_code > 128) {
    return absl::AbortedError(
        absl::StrCat(arguments[0], " was ended by signal ", result.exit_code - 128));
  }
  if (result.exit_code != 0) {
    return absl::InternalError(absl::StrCat(arguments[0], " exited with ", result.exit_code, ": ",
                                            absl::StripAsciiWhitespace(result.errors)));
  }
  return std::move(result.output);
}

}  // namespace werkplek
