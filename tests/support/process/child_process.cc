#include "tests/support/process/child_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Below those that Linux gives to whoever asks for any port.
constexpr int kFirstPort = 20'000;
constexpr int kPorts = 32'768 - kFirstPort;

// False: somebody has it. A socket keeps it for this process among all that choose theirs in this
// way, before its user listens.
bool KeepPort(int port) {
  const int keeper = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // The first byte stays zero: a name without a file, which goes with the socket.
  const std::string text = absl::StrCat("werkplek-port-", port);
  text.copy(name.sun_path + 1, sizeof(name.sun_path) - 1);
  const socklen_t name_size = offsetof(sockaddr_un, sun_path) + 1 + text.size();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool kept = bind(keeper, reinterpret_cast<sockaddr*>(&name), name_size) == 0 &&
                    bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  if (!kept) close(keeper);
  return kept;
}

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = getenv("PATH");
  std::stringstream folders(absl::StrCat(path != nullptr ? path : "", ":/usr/sbin:/usr/bin"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string file = absl::StrCat(folder, "/", name);
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return name;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const ChildOptions& options) {
  // All memory is made ready here: after fork only async-signal-safe calls are allowed.
  const std::string program = FindProgram(arguments[0]);
  std::vector<std::string> argument_texts = arguments;
  std::vector<std::string> environment_texts = options.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment_texts.emplace_back(*entry);
  const std::vector<char*> argv = Pointers(argument_texts);
  const std::vector<char*> envp = Pointers(environment_texts);
  const std::string output = options.output_file.empty() ? "/dev/null" : options.output_file;
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);
  if (!options.directory.empty() && chdir(options.directory.c_str()) != 0) _exit(126);
  const int in = open("/dev/null", O_RDONLY);
  const int out = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  close_range(3, ~0U, 0);
  execve(program.c_str(), argv.data(), envp.data());
  _exit(127);
}

ChildProcess::~ChildProcess() {
  if (Running()) {
    Signal(SIGKILL);
    Wait(absl::Seconds(10));
  }
}

bool ChildProcess::Running() { return !Wait(absl::ZeroDuration()).has_value(); }

void ChildProcess::Signal(int signal) {
  if (Running()) kill(pid_, signal);
}

std::optional<int> ChildProcess::Wait(absl::Duration timeout) {
  if (exit_code_.has_value()) return exit_code_;
  if (pid_ < 0) return exit_code_ = 127;
  // A pidfd becomes readable when the process ends.
  const int ended = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (ended >= 0) {
    pollfd wait = {.fd = ended, .events = POLLIN, .revents = 0};
    poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
    close(ended);
  }
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

void ChildProcess::Stop() {
  Signal(SIGTERM);
  if (Wait(absl::Seconds(5)).has_value()) return;
  Signal(SIGKILL);
  Wait(absl::Seconds(10));
}

absl::StatusOr<std::string> RunProgram(const std::vector<std::string>& arguments,
                                       absl::Duration timeout, const ChildOptions& options) {
  TemporaryFolder folder;
  ChildOptions with_output = options;
  if (with_output.output_file.empty()) with_output.output_file = folder.File("output");
  ChildProcess child(arguments, with_output);
  const std::optional<int> exit_code = child.Wait(timeout);
  const std::string output = ReadWholeFile(with_output.output_file);
  if (!exit_code.has_value()) {
    return absl::DeadlineExceededError(absl::StrCat(arguments[0], " did not end: ", output));
  }
  if (*exit_code != 0) {
    return absl::InternalError(absl::StrCat(arguments[0], " gave ", *exit_code, ": ", output));
  }
  return output;
}

TemporaryFolder::TemporaryFolder() {
  path_ = (std::filesystem::temp_directory_path() / "werkplek-test-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, const std::string& content) const {
  const std::string path = File(name);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
  chmod(path.c_str(), 0600);
  return path;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

int FreeLoopbackPort() {
  std::random_device random;
  const int start = static_cast<int>(random() % kPorts);
  for (int i = 0; i < kPorts; ++i) {
    const int port = kFirstPort + (start + i) % kPorts;
    if (KeepPort(port)) return port;
  }
  return -1;
}

}  // namespace werkplek
