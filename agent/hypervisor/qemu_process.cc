#include "agent/hypervisor/qemu_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/hypervisor/embed_root.h"

// glibc 2.36 declares it without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace werkplek {
namespace {

constexpr char kSystemUri[] = "qemu:///system";

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// QEMU's arguments hold `-uuid UUID`; they are separated by zero bytes.
bool IsQemuOf(pid_t pid, const std::string& uuid) {
  const std::optional<std::string> arguments = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
  const std::string wanted = std::string("-uuid") + '\0' + uuid + '\0';
  return arguments.has_value() && arguments->find(wanted) != std::string::npos;
}

}  // namespace

std::string QemuStateFolderOf(absl::string_view uri) {
  if (uri == kSystemUri) return "/run/libvirt/qemu";
  const std::optional<std::string> root = EmbedRootOf(uri);
  return root.has_value() ? *root + "/run/qemu" : "";
}

absl::StatusOr<bool> KillQemu(const std::string& pid_file, const std::string& uuid,
                              absl::Duration bound) {
  const std::optional<std::string> text = ReadFile(pid_file);
  pid_t pid = 0;
  if (!text.has_value()) {
    if (access(pid_file.c_str(), F_OK) == 0) {
      return absl::PermissionDeniedError(absl::StrCat("cannot read ", pid_file));
    }
    return false;
  }
  if (!absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &pid) || pid <= 1) return false;
  // Held by descriptor from here on: what is looked at is what is killed.
  const int process = pidfd_open(pid, 0);
  if (process < 0) {
    if (errno == ESRCH) return false;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot hold process ", pid));
  }
  const absl::Cleanup close_it = [process] { close(process); };
  if (!IsQemuOf(pid, uuid)) return false;
  if (pidfd_send_signal(process, SIGKILL, nullptr, 0) != 0) {
    if (errno == ESRCH) return true;
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot kill process ", pid));
  }
  pollfd ended = {process, POLLIN, 0};
  int ready;
  do {
    ready = poll(&ended, 1, static_cast<int>(absl::ToInt64Milliseconds(bound)));
  } while (ready < 0 && errno == EINTR);
  if (ready == 1) return true;
  return absl::DeadlineExceededError(absl::StrCat("process ", pid, " was killed and is not gone"));
}

std::string ParseLockManager(absl::string_view conf) {
  std::string found = "nop";
  for (absl::string_view line : absl::StrSplit(conf, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "lock_manager")) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "=")) continue;
    line = absl::StripLeadingAsciiWhitespace(line);
    if (!absl::ConsumePrefix(&line, "\"")) continue;
    found = std::string(line.substr(0, line.find('"')));
  }
  return found;
}

std::string LockManagerOf(absl::string_view uri) {
  std::string path;
  if (uri == kSystemUri) {
    path = "/etc/libvirt/qemu.conf";
  } else if (const std::optional<std::string> root = EmbedRootOf(uri)) {
    path = *root + "/etc/qemu.conf";
  } else {
    return "";
  }
  if (const std::optional<std::string> conf = ReadFile(path)) return ParseLockManager(*conf);
  // libvirt's own default, unless there is a file that this account may not read.
  return access(path.c_str(), F_OK) == 0 ? "" : "nop";
}

}  // namespace werkplek
