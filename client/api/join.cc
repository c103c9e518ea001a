#include "client/api/join.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/api/exit_code.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/http/join_client.h"
#include "common/tls/peer_name.h"

namespace werkplek {
namespace {

constexpr absl::string_view kHex = "0123456789abcdef";

// A double-quoted YAML scalar.
std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      absl::StrAppend(&quoted, "\\x", std::string(1, kHex[byte >> 4]),
                      std::string(1, kHex[byte & 15]));
      continue;
    }
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

absl::Status CheckBrokers(const std::vector<std::string>& brokers) {
  if (brokers.empty()) {
    return UsageProblem(
        absl::InvalidArgumentError("no broker is named; add --broker ADDRESS:PORT"));
  }
  for (const std::string& broker : brokers) {
    const absl::Status status = ParseHostPort(broker).status();
    if (!status.ok()) {
      return UsageProblem(
          absl::InvalidArgumentError(absl::StrCat("--broker ", broker, ": ", status.message())));
    }
  }
  return absl::OkStatus();
}

bool IsMember(gid_t group) {
  if (geteuid() == 0 || getegid() == group) return true;
  std::vector<gid_t> groups(std::max(0, getgroups(0, nullptr)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  groups.resize(std::max(0, count));
  return std::find(groups.begin(), groups.end(), group) != groups.end();
}

// A group that this user may give files to.
absl::StatusOr<gid_t> GroupNamed(const std::string& name) {
  const group* found = getgrnam(name.c_str());
  if (found == nullptr) {
    return UsageProblem(absl::NotFoundError(
        absl::StrCat("--group ", name, ": there is no such group on this machine")));
  }
  if (!IsMember(found->gr_gid)) {
    return UsageProblem(absl::PermissionDeniedError(
        absl::StrCat("--group ", name, ": you are no member of it; do this as root")));
  }
  return found->gr_gid;
}

absl::Status GiveToGroup(const std::string& path, gid_t group, mode_t mode) {
  if (chown(path.c_str(), static_cast<uid_t>(-1), group) == 0 && chmod(path.c_str(), mode) == 0) {
    return absl::OkStatus();
  }
  return LocalProblem(
      absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot give it to the group")));
}

// The members may read the key, and enter its folder; nobody else.
absl::Status ShareWithGroup(const TlsFiles& files, gid_t group) {
  // The folder last: until then nobody else gets in.
  RETURN_IF_ERROR(GiveToGroup(files.key, group, 0640));
  return GiveToGroup(std::filesystem::path(files.key).parent_path().string(), group, 0750);
}

}  // namespace

std::string ConfigText(const std::vector<std::string>& brokers, const TlsFiles& files) {
  std::string text = "brokers:\n";
  for (const std::string& broker : brokers) absl::StrAppend(&text, "  - ", Quoted(broker), "\n");
  absl::StrAppend(&text, "certificate: ", Quoted(files.certificate), "\nkey: ", Quoted(files.key),
                  "\nca: ", Quoted(files.ca), "\n");
  return text;
}

absl::StatusOr<JoinResult> JoinMachine(const JoinRequest& request) {
  RETURN_IF_ERROR(CheckBrokers(request.brokers));
  const std::filesystem::path config =
      std::filesystem::absolute(std::filesystem::path(request.config_path));
  if (access(config.c_str(), F_OK) == 0) {
    return LocalProblem(absl::AlreadyExistsError(absl::StrCat(
        config.string(), " is there already; delete it to join anew, or name another file with ",
        "--config")));
  }
  std::optional<gid_t> group;
  if (!request.group.empty()) {
    ASSIGN_OR_RETURN(group, GroupNamed(request.group));
  }
  RETURN_IF_ERROR(
      LocalProblem(MakeFolder(config.parent_path().string(), group.has_value() ? 0755 : 0700)));
  JoinTerms terms;
  terms.url = request.url;
  terms.code = Secret(request.code.Reveal());
  terms.ca_sha256 = request.ca_sha256;
  terms.identity = request.identity;
  terms.folder = (config.parent_path() / std::string(IdentityWord(request.identity))).string();
  absl::StatusOr<TlsFiles> files = JoinOverHttps(terms);
  if (absl::IsAlreadyExists(files.status()) || absl::IsInvalidArgument(files.status())) {
    return LocalProblem(files.status());
  }
  if (!files.ok()) return files.status();
  if (group.has_value()) RETURN_IF_ERROR(ShareWithGroup(*files, *group));
  absl::StatusOr<TlsMaterial> material = LoadTlsFiles(*files, absl::Now());
  if (!material.ok()) return LocalProblem(material.status());
  RETURN_IF_ERROR(LocalProblem(
      WriteFileAtomically(config.string(), ConfigText(request.brokers, *files), 0644)));
  return JoinResult{.own = material->own, .files = *files};
}

}  // namespace werkplek
