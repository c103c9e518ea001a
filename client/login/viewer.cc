#include "client/login/viewer.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_split.h"
#include "client/api/exit_code.h"

extern char** environ;

namespace werkplek {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(3);

}  // namespace

absl::StatusOr<std::unique_ptr<Viewer>> Viewer::Start(const std::string& command,
                                                      const std::string& url) {
  std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  if (words.empty()) {
    return LocalProblem(absl::InvalidArgumentError("the viewer's name is empty"));
  }
  words.push_back(url);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // The viewer begins without our handlers and without blocked signals.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaddset(&defaults, signal);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t process = 0;
  const int failure =
      posix_spawnp(&process, arguments[0], nullptr, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) return LocalProblem(absl::ErrnoToStatus(failure, words.front()));
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, process, 0));
  if (descriptor < 0) {
    const absl::Status status = absl::ErrnoToStatus(errno, "cannot watch the viewer");
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
    return LocalProblem(status);
  }
  return std::unique_ptr<Viewer>(new Viewer(process, descriptor));
}

Viewer::~Viewer() {
  if (!code_.has_value()) {
    kill(process_, SIGTERM);
    if (!Wait(kPatience).has_value()) {
      kill(process_, SIGKILL);
      Wait(absl::InfiniteDuration());
    }
  }
  close(descriptor_);
}

std::optional<int> Viewer::Wait(absl::Duration timeout) {
  if (code_.has_value()) return code_;
  pollfd watched = {descriptor_, POLLIN, 0};
  const int timeout_ms = timeout == absl::InfiniteDuration()
                             ? -1
                             : static_cast<int>(absl::ToInt64Milliseconds(timeout));
  int ready = poll(&watched, 1, timeout_ms);
  while (ready < 0 && errno == EINTR) ready = poll(&watched, 1, timeout_ms);
  if (ready <= 0) return std::nullopt;
  int status = 0;
  if (waitpid(process_, &status, 0) != process_) return std::nullopt;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return code_;
}

}  // namespace werkplek
