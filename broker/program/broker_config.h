// The broker's configuration: one YAML file, judged whole before anything starts.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/directory/directory_settings.h"
#include "broker/fencing/command_fencer.h"
#include "broker/node/broker_node.h"
#include "broker/program/store_config.h"
#include "broker/rpc/settings.h"
#include "common/base/crypto.h"
#include "common/base/log.h"
#include "common/pki/authority.h"
#include "common/tls/tls_files.h"

namespace werkplek {

struct BrokerConfig {
  // In authenticator apps and in the authority's name.
  std::string organisation;
  // This broker's name: `werkplek://broker/NAME`.
  std::string name;
  std::string data_dir;
  StoreConfig store;

  // "ADDRESS:PORT", numeric. Port 0: the system chooses. Those for clients and agents are in `rpc`.
  std::string join_address;
  // Loopback. Empty: no metrics.
  std::string metrics_address;
  // What newcomers are told; from join_address when it is not set.
  std::string join_url;

  TlsFiles tls;
  // Names and addresses for the broker's own certificate.
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  AuthorityFiles authority;
  absl::Duration certificate_lifetime = absl::Hours(30 * 24);

  std::string sealing_key_file;
  // 32 bytes; empty when only the form was judged.
  Secret sealing_key;

  DirectorySettings directory;
  FenceCommandSettings fencing;
  NodeSettings node;
  RpcSettings rpc;
  Severity log_severity = Severity::kInfo;
};

enum class ConfigCheck {
  // All: the files it names are there, closed where they must be, and fit together.
  kWhole,
  // Only what stands in the file, for `init`, which makes the other files.
  kForm,
};

// INVALID_ARGUMENT with every complaint, one on each line, as `FILE:LINE: FIELD: ...`.
absl::StatusOr<BrokerConfig> LoadBrokerConfig(const std::string& path, ConfigCheck check);

}  // namespace werkplek
