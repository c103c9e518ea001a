// The configuration of both client programs: where the brokers are, and who this machine is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/api/broker_client.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// When displays go through the gateways.
enum class GatewayUse {
  // When none of the host's own relays is reached.
  kWhenNeeded,
  // This machine is outside: the hosts are not even tried.
  kAlways,
};

// As in docs/operating/werkplek.md.
struct ClientConfig {
  // The file that it was read from.
  std::string path;
  // "ADDRESS:PORT", tried in this order; at least one.
  std::vector<std::string> brokers;
  TlsFiles tls;
  // "nl", "en"; empty: as the environment says.
  std::string language;
  // The program that shows a SPICE or VNC URL.
  std::string viewer = "remote-viewer";
  GatewayUse gateways = GatewayUse::kWhenNeeded;
};

// The first that is there of `given` (when not empty, it alone), ~/.config/werkplek/NAME (or under
// $XDG_CONFIG_HOME) and /etc/werkplek/`system_name`. NOT_FOUND (LocalProblem) says what to write.
absl::StatusOr<std::string> FindClientConfig(absl::string_view given,
                                             absl::string_view own_name = "config.yaml",
                                             absl::string_view system_name = "client.yaml");

// Errors are LocalProblems, with file and line.
absl::StatusOr<ClientConfig> LoadClientConfig(const std::string& path);
absl::StatusOr<ClientConfig> ParseClientConfig(const std::string& path, const std::string& text);

// When a broker whose connection says nothing during a call is given up: a machine that has lost
// its power closes no connection.
struct SignsOfLife {
  // Silence until it is asked for one. Brokers close connections that ask more than every 20 s.
  absl::Duration ask_after = absl::Seconds(21);
  absl::Duration answer_within = absl::Seconds(3);
};

// How a client's channel connects, tries again, and is found dead.
grpc::ChannelArguments BrokerChannelArguments(const SignsOfLife& signs = {});

// Channels to all brokers, mutually authenticated; a broker must show the certificate of
// `werkplek://broker/...` by the configured authority. Nothing is connected yet.
absl::StatusOr<std::vector<BrokerEndpoint>> OpenBrokers(const ClientConfig& config);

// `~/.config/werkplek`, or under $XDG_CONFIG_HOME; empty when neither is known.
std::string OwnConfigDirectory();

}  // namespace werkplek
