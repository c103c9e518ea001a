// Connects to a pool as `werkplek` does, with the sign-in that it kept, and prints what `Ready`
// brings instead of opening the display: for tests of what becomes of a ticket.
#include <google/protobuf/util/json_util.h>

#include <iostream>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "client/api/broker_client.h"
#include "client/api/client_config.h"
#include "client/api/sign_in.h"
#include "client/api/token_file.h"
#include "common/base/status_macros.h"
#include "common/tls/process_tls.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {
namespace {

absl::StatusOr<v1::Ready> Connect(const std::string& config_path, const std::string& pool) {
  RETURN_IF_ERROR(RequireTls13InThisProcess());
  ASSIGN_OR_RETURN(const ClientConfig config, LoadClientConfig(config_path));
  ASSIGN_OR_RETURN(std::vector<BrokerEndpoint> endpoints, OpenBrokers(config));
  ASSIGN_OR_RETURN(const TokenFile file, TokenFile::For("werkplek"));
  ASSIGN_OR_RETURN(KeptSignIn kept, file.Load(absl::Now()));
  BrokerClient client(std::move(endpoints), {});
  client.SetAccessToken(std::move(kept.access_token));
  v1::ConnectRequest request;
  request.set_request_id(NewRequestId());
  request.set_pool(pool);
  *request.mutable_client() = FactsOfThisMachine("take_ticket", "en");
  std::optional<v1::Ready> ready;
  std::string refused;
  const auto on_update = [&](const v1::ConnectUpdate& update) {
    if (update.has_ready()) ready = update.ready();
    if (update.has_refused()) refused = update.refused().ShortDebugString();
    return true;
  };
  const absl::Status status = client.Stream(&v1::SessionService::Stub::Connect, request,
                                            absl::Minutes(2), {.on_message = on_update});
  if (ready.has_value()) return *ready;
  RETURN_IF_ERROR(status);
  return absl::FailedPreconditionError(refused.empty() ? "no desktop" : refused);
}

int Main(const std::string& config, const std::string& pool) {
  const absl::StatusOr<v1::Ready> ready = Connect(config, pool);
  if (!ready.ok()) {
    std::cerr << ready.status() << "\n";
    return 1;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  if (!google::protobuf::util::MessageToJsonString(*ready, &text, options).ok()) return 1;
  std::cout << text << "\n";
  return 0;
}

}  // namespace
}  // namespace werkplek

int main(int argc, char** argv) {
  if (argc == 3) return werkplek::Main(argv[1], argv[2]);
  std::cerr << "take_ticket CONFIG POOL\n";
  return 2;
}
