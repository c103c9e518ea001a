// The TLS port of a display relay. Whoever presents a good ticket gets a stream to one display;
// everybody else gets a status and one line. Who is let in is the owner's decision (`authorize`).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/relay/relay_head.h"
#include "common/tls/ssl_context.h"

namespace werkplek {

struct RelayRequest {
  // Names this connection; unique within a run of the process.
  uint64_t channel = 0;
  std::string desktop;
  // 32 bytes. The ticket itself is forgotten as soon as it is hashed, unless the owner passes it
  // on.
  std::string ticket_sha256;
  Secret ticket;
  // 32 bytes: the peer's, or that of the client for which a gateway speaks. Empty: the peer showed
  // no certificate (a browser at a gateway).
  std::string certificate_sha256;
  // "client/tc-017"; empty without a certificate.
  std::string peer;
  RelayChannelKind kind = RelayChannelKind::kSpice;
  std::string viewer;
  // "192.0.2.7:51234".
  std::string address;
};

// The answer to a request: a status of 200 with a connected socket (which the relay then owns), or
// another status with the reason.
struct RelayVerdict {
  unsigned status = 503;
  std::string reason;
  int display = -1;
};

struct RelayHandlers {
  // On the relay's thread; must not block. `answer` may be called from any thread, once.
  std::function<void(const RelayRequest& request, std::function<void(RelayVerdict)> answer)>
      authorize;
  // The viewer of a channel with verdict 200 was told so, and is joined with the display. On the
  // relay's thread.
  std::function<void(uint64_t channel)> opened;
  // Called once for each channel whose verdict was 200, whether it was opened or not.
  std::function<void(uint64_t channel)> closed;
};

struct RelayOptions {
  // "ADDRESS:PORT" each; port 0 takes a free one.
  std::vector<std::string> addresses;
  // Origins that may open websockets, exactly as browsers write them. Empty: none.
  std::vector<std::string> origins;
  // The owner passes tickets on: requests carry them.
  bool keep_tickets = false;
  // Gateways may speak for their clients, by the SHA-256 of the client's certificate.
  bool believe_gateways = false;
  // From the TCP connection to the complete head, TLS handshake included.
  absl::Duration head_deadline = absl::Seconds(10);
  // For the owner's answer.
  absl::Duration answer_deadline = absl::Seconds(40);
  // For the second half of a connection of which one side ended.
  absl::Duration linger = absl::Seconds(5);
  // Connections that have not been let in yet, in all and from one address.
  size_t max_waiting = 512;
  size_t max_waiting_per_address = 64;
  size_t max_channels = 4'096;
};

class RelayServer {
 public:
  // Listens and serves on a thread of its own. `tls` outlives the server.
  static absl::StatusOr<std::unique_ptr<RelayServer>> Start(RelayOptions options,
                                                            FollowingContext* tls,
                                                            RelayHandlers handlers);
  // Cuts every channel; `closed` has been called for each when this returns. Answers that come
  // later do nothing but close their display.
  ~RelayServer();
  RelayServer(const RelayServer&) = delete;
  RelayServer& operator=(const RelayServer&) = delete;

  // In the order of the addresses.
  std::vector<int> ports() const;
  // Connections that were closed at once since there were too many.
  uint64_t turned_away() const;
  // Ends these channels at once, also before they were opened. From any thread.
  void Cut(std::vector<uint64_t> channels);

 private:
  class Parts;
  explicit RelayServer(std::shared_ptr<Parts> parts);
  std::shared_ptr<Parts> parts_;
};

}  // namespace werkplek
