#include "client/api/join.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/api/exit_code.h"
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
  std::error_code failed;
  std::filesystem::create_directories(config.parent_path(), failed);
  if (failed) {
    return LocalProblem(absl::PermissionDeniedError(
        absl::StrCat("cannot make ", config.parent_path().string(), ": ", failed.message())));
  }
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
  absl::StatusOr<TlsMaterial> material = LoadTlsFiles(*files, absl::Now());
  if (!material.ok()) return LocalProblem(material.status());
  RETURN_IF_ERROR(LocalProblem(
      WriteFileAtomically(config.string(), ConfigText(request.brokers, *files), 0644)));
  return JoinResult{.own = material->own, .files = *files};
}

}  // namespace werkplek
