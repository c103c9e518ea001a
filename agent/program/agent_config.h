// The agent's configuration: one YAML file, judged whole before anything starts.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/agent_core.h"
#include "common/base/log.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// A folder that several hosts see under the same path.
struct StorageConfig {
  std::string name;
  std::string path;
  // It may begin in a folder that is no mount of its own.
  bool plain_folder = false;
};

struct AgentConfig {
  // The name in the certificate: `werkplek://host/NAME`.
  std::string host;
  // "ADDRESS:PORT" of the brokers' agent ports.
  std::vector<std::string> brokers;
  // Images, overlays, the epoch.
  std::string data_dir;
  // When the leader was last heard (heard_file.h).
  std::string heard_file;
  std::vector<StorageConfig> storages;
  // Moves go encrypted.
  bool migration_tls = true;
  // libvirt's URI.
  std::string hypervisor;
  // Where the display relay listens; what clients are told when that is another address.
  std::vector<std::string> relay_listen;
  std::vector<std::string> relay_advertise;
  // Origins of browsers that may open websockets (gateways).
  std::vector<std::string> relay_origins;
  TlsFiles tls;
  // Loopback; empty: no metrics.
  std::string metrics_address;
  AgentSettings core;
  Severity log_severity = Severity::kInfo;
};

enum class AgentConfigCheck {
  // All: the files it names are there, closed where they must be, and fit together.
  kWhole,
  // Only what stands in the file, for `join`, which makes the other files.
  kForm,
};

// INVALID_ARGUMENT with every complaint, one on each line, as `FILE:LINE: FIELD: ...`.
absl::StatusOr<AgentConfig> LoadAgentConfig(const std::string& path, AgentConfigCheck check);

}  // namespace werkplek
