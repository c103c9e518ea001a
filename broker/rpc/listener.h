// One hardened gRPC port: our own accept loop, mutual TLS, and a bound on everything a peer can
// make the server hold or do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/rpc/acceptor.h"
#include "broker/rpc/connection_limits.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"

namespace werkplek {

struct ListenerSettings {
  // For logs and the thread's name, at most 15 bytes.
  std::string name;
  // "ADDRESS:PORT", numeric.
  std::string address;
  absl::Duration handshake_limit = absl::Seconds(5);
  int max_streams_per_connection = 100;
  int message_bytes = 64 << 10;
  int metadata_bytes = 8 << 10;
  size_t memory_quota_bytes = 256 << 20;
  absl::Duration keepalive = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  // The least time between a peer's own keepalive pings; more often is a GOAWAY.
  absl::Duration least_ping_interval = absl::Seconds(20);
  // Zero: connections may live for ever.
  absl::Duration connection_age = absl::ZeroDuration();
  absl::Duration connection_grace = absl::ZeroDuration();
};

class Listener {
 public:
  // Binds, builds and serves. `services` and `connections` outlive the listener. The standard
  // health service comes with it; reflection and channelz do not. UNAVAILABLE: the port is taken;
  // names it.
  static absl::StatusOr<std::unique_ptr<Listener>> Start(
      const ListenerSettings& settings, std::shared_ptr<grpc::ServerCredentials> credentials,
      const std::vector<grpc::Service*>& services, ConnectionLimits* connections);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return acceptor_->port(); }
  AcceptorCounts counts() const { return acceptor_->counts(); }

  grpc::Server* server() { return server_.get(); }

  // What the health service answers: whether work is taken.
  void SetServing(bool serving);

  // Takes no more connections; calls have until `grace` has passed, then they are cancelled.
  // Returns when every reactor is done. Idempotent.
  void Stop(absl::Duration grace);

 private:
  Listener() = default;

  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Acceptor> acceptor_;
  bool stopped_ = false;
};

}  // namespace werkplek
