// A small HTTPS server (Boost.Beast) for strangers: one request per connection, everything bounded.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/http/http_message.h"
#include "common/tls/ssl_context.h"

namespace werkplek {

struct HttpServerSettings {
  // "ADDRESS:PORT", numeric; port 0: the system chooses.
  std::string address;
  // For logs and the thread, at most 15 bytes.
  std::string name = "http";
  size_t max_header_bytes = 8 * 1024;
  size_t max_body_bytes = 16 * 1024;
  // From accept to the last byte of the answer.
  absl::Duration request_limit = absl::Seconds(10);
  // More are closed at once.
  size_t max_connections = 256;
  size_t max_connections_per_address = 16;
};

// Thread-safe.
class HttpServer {
 public:
  // Listens and serves on a thread of its own. `context` outlives the server. UNAVAILABLE: the
  // address is taken; names it.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerSettings settings,
                                                           FollowingContext* context,
                                                           HttpHandler handler);
  // Closes what is open and joins the thread; no handler runs afterwards.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;

 private:
  class Parts;
  explicit HttpServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace werkplek
