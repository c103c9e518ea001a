#include "agent/hypervisor/embed_root.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr char kQemuConf[] =
    "# Written by werkplek-agent when this root was new; it is kept as it is from now on.\n"
    "stdio_handler = \"file\"\n"
    "security_driver = \"none\"\n"
    "user = \"root\"\n"
    "group = \"root\"\n"
    "remember_owner = 0\n"
    "cgroup_controllers = []\n"
    "namespaces = []\n";

std::string PercentDecode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &byte)) {
      decoded += static_cast<char>(byte);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

std::string EmbedUri(absl::string_view root) {
  std::string uri = "qemu:///embed?root=";
  for (const unsigned char c : root) {
    if (absl::ascii_isalnum(c) || c == '/' || c == '-' || c == '.' || c == '_') {
      uri += static_cast<char>(c);
    } else {
      absl::StrAppendFormat(&uri, "%%%02X", c);
    }
  }
  return uri;
}

std::optional<std::string> EmbedRootOf(absl::string_view uri) {
  if (!absl::ConsumePrefix(&uri, "qemu:///embed?")) return std::nullopt;
  for (absl::string_view parameter : absl::StrSplit(uri, '&')) {
    if (absl::ConsumePrefix(&parameter, "root=")) return PercentDecode(parameter);
  }
  return std::nullopt;
}

absl::Status PrepareEmbedRoot(const std::string& root) {
  // libvirt looks this user up before it reads the configuration that names another.
  if (geteuid() == 0 && getpwnam("libvirt-qemu") == nullptr) {
    return absl::FailedPreconditionError(
        "libvirt's QEMU driver wants the system user 'libvirt-qemu' to exist (Debian's package "
        "libvirt-daemon-system makes it): useradd --system --user-group libvirt-qemu");
  }
  if (!absl::StartsWith(root, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the hypervisor's root '", root, "' must be an absolute path"));
  }
  if (root.size() > kMaxEmbedRootBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the hypervisor's root '", root, "' has ", root.size(), " bytes; at most ",
        kMaxEmbedRootBytes, ", as QEMU's sockets lie below it: choose a shorter folder"));
  }
  std::error_code error;
  for (const char* folder : {"/etc", "/log", kEmbedChannelFolder}) {
    std::filesystem::create_directories(root + folder, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot make ", root, folder, ": ", error.message()));
    }
  }
  // libvirt reads this once, at its first call in the process. Its words are separated by spaces.
  if (root.find(' ') == std::string::npos) {
    setenv("LIBVIRT_LOG_OUTPUTS", absl::StrCat("3:file:", root, "/log/libvirt.log").c_str(), 0);
  }
  const std::string conf = root + "/etc/qemu.conf";
  if (std::filesystem::exists(conf, error)) return absl::OkStatus();
  std::ofstream file(conf);
  file << kQemuConf;
  file.close();
  if (!file) return absl::UnavailableError(absl::StrCat("cannot write ", conf));
  return absl::OkStatus();
}

}  // namespace werkplek
