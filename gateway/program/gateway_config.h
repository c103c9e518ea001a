// The gateway's configuration: one YAML file, judged whole before anything starts.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/log.h"
#include "common/relay/relay_server.h"
#include "common/tls/tls_files.h"
#include "gateway/portal/portal_server.h"

namespace werkplek {

struct GatewayConfig {
  // The name in the certificate: `werkplek://gateway/NAME`.
  std::string name;
  std::string site;
  // "ADDRESS:PORT" of the brokers' ports for clients.
  std::vector<std::string> brokers;
  // What clients are told.
  std::vector<std::string> advertise;
  // The port for clients, with its limits.
  RelayOptions relay;
  // The file says how many channels there may be.
  bool names_channels = false;
  TlsFiles tls;
  // The port for browsers; without addresses there is none. `portal_tls` has no authority.
  PortalOptions portal;
  TlsFiles portal_tls;
  // Loopback; empty: no metrics.
  std::string metrics_address;
  Severity log_severity = Severity::kInfo;
};

// INVALID_ARGUMENT with every complaint, one on each line, as `FILE:LINE: FIELD: ...`.
absl::StatusOr<GatewayConfig> LoadGatewayConfig(const std::string& path);

}  // namespace werkplek
