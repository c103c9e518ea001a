#include "client/api/client_config.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/api/exit_code.h"
#include "common/base/status_macros.h"
#include "common/config/config_file.h"
#include "common/tls/grpc_credentials.h"
#include "common/tls/ssl_context.h"

namespace werkplek {
namespace {

// A broker whose machine is gone is given up after this; then the next one is tried.
constexpr int kConnectTimeoutMs = 3000;
constexpr int kMaxMessageBytes = 4 * 1024 * 1024;

int MillisecondsArgument(absl::Duration span) {
  return static_cast<int>(absl::ToInt64Milliseconds(span));
}

absl::StatusOr<ClientConfig> Read(ConfigFile& file, const std::string& path) {
  ClientConfig config;
  config.path = path;
  ConfigSection root = file.Root();
  root.AddressList("brokers", &config.brokers, {.required = true, .min_items = 1, .max_items = 16});
  root.Path("certificate", &config.tls.certificate, true);
  root.Path("key", &config.tls.key, true);
  root.Path("ca", &config.tls.ca, true);
  root.Choice<std::string>("language", &config.language, {{"nl", "nl"}, {"en", "en"}});
  root.Text("viewer", &config.viewer);
  root.Choice<GatewayUse>(
      "gateways", &config.gateways,
      {{"always", GatewayUse::kAlways}, {"when-needed", GatewayUse::kWhenNeeded}});
  RETURN_IF_ERROR(LocalProblem(file.Finish(), LocalCause::kConfiguration));
  return config;
}

}  // namespace

std::string OwnConfigDirectory() {
  if (const char* base = std::getenv("XDG_CONFIG_HOME"); base != nullptr && *base != '\0') {
    return absl::StrCat(base, "/werkplek");
  }
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : absl::StrCat(home, "/.config/werkplek");
}

absl::StatusOr<std::string> FindClientConfig(absl::string_view given, absl::string_view own_name,
                                             absl::string_view system_name) {
  if (!given.empty()) return std::string(given);
  const std::string directory = OwnConfigDirectory();
  const std::string own = absl::StrCat(directory, "/", own_name);
  if (!directory.empty() && access(own.c_str(), F_OK) == 0) return own;
  const std::string system = absl::StrCat("/etc/werkplek/", system_name);
  if (access(system.c_str(), F_OK) == 0) return system;
  return LocalProblem(
      absl::NotFoundError(absl::StrCat(
          "there is no configuration (looked for ", directory.empty() ? "" : own,
          directory.empty() ? "" : " and ", system,
          "); name one with --config, or let this machine join with the command that an "
          "administrator gives you")),
      LocalCause::kNoConfiguration);
}

absl::StatusOr<ClientConfig> LoadClientConfig(const std::string& path) {
  const std::unique_ptr<ConfigFile> file = ConfigFile::Load(path);
  return Read(*file, path);
}

absl::StatusOr<ClientConfig> ParseClientConfig(const std::string& path, const std::string& text) {
  const std::unique_ptr<ConfigFile> file = ConfigFile::Parse(path, text);
  return Read(*file, path);
}

grpc::ChannelArguments BrokerChannelArguments(const SignsOfLife& signs) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, MillisecondsArgument(signs.ask_after));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, MillisecondsArgument(signs.answer_within));
  // Nobody waits between two calls.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  // A stream is read for as long as a queue takes and sends nothing; gRPC would stop asking after
  // two signs of life.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The retries are ours (retry.h); gRPC's own waiting after a failure would only delay them.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Proxies of the environment have no business between us and the broker.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  return arguments;
}

absl::StatusOr<std::vector<BrokerEndpoint>> OpenBrokers(const ClientConfig& config) {
  auto credentials = GrpcChannelCredentials(config.tls, ExpectIdentity({v1::IDENTITY_BROKER}));
  if (!credentials.ok()) {
    return LocalProblem(credentials.status(), LocalCause::kCertificate);
  }
  const grpc::ChannelArguments arguments = BrokerChannelArguments();
  std::vector<BrokerEndpoint> endpoints;
  for (const std::string& address : config.brokers) {
    endpoints.push_back({address, grpc::CreateCustomChannel(address, *credentials, arguments)});
  }
  return endpoints;
}

}  // namespace werkplek
