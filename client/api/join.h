// Joining: this machine gets its certificate and a configuration.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/crypto.h"
#include "common/tls/tls_files.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {

struct JoinRequest {
  // As `werkplekctl client add` prints them.
  std::string url;
  Secret code;
  std::string ca_sha256;
  // CLIENT or ADMIN.
  v1::Identity identity = v1::IDENTITY_UNSPECIFIED;
  // The configuration to write; the certificate goes into a folder beside it.
  std::string config_path;
  // "ADDRESS:PORT" each; at least one.
  std::vector<std::string> brokers;
  // The group whose members all use this machine with this certificate. Empty: its owner alone.
  std::string group;
};

struct JoinResult {
  PeerCertificate own;
  TlsFiles files;
};

// Writes the certificate, the key (0600) and the authority into `FOLDER/client` or `FOLDER/admin`
// beside the configuration, and the configuration; with a group its members may read the key (0640)
// and enter the folder (0750). Nothing that is there is overwritten: ALREADY_EXISTS. Errors before
// the broker was asked are LocalProblems. Blocks up to 45 s.
absl::StatusOr<JoinResult> JoinMachine(const JoinRequest& request);

// The text of a configuration. Pure.
std::string ConfigText(const std::vector<std::string>& brokers, const TlsFiles& files);

}  // namespace werkplek
