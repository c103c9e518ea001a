// The viewer's side of a display relay: one TLS connection for each channel, joined with a local
// socket that the viewer talks to.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"

namespace werkplek {

struct TlsMaterial;

enum class RelayChannelKind { kSpice, kVnc };

// One display to be opened: what `Ready` of session.proto tells.
struct RelayTarget {
  // Relays of the host, "ADDRESS:PORT", best first; each is tried in turn.
  std::vector<std::string> addresses;
  // Gateways, tried after those; each must show the certificate of a gateway.
  std::vector<std::string> gateways;
  // The relay must show the certificate of `werkplek://host/HOST`.
  std::string host;
  std::string desktop;
  Secret ticket;
  RelayChannelKind kind = RelayChannelKind::kSpice;
  // A gateway names its client by this (32 bytes). Empty: the ticket is for our own certificate.
  std::string client_certificate_sha256;
  // 1 to 64 of [A-Za-z0-9_-]: the same for all channels of one viewer. Empty: a fresh one is made.
  std::string viewer;
};

// Thread-safe. The destructor closes every channel and the local socket.
class RelayClient {
 public:
  // INVALID_ARGUMENT: the target lacks something. `own` is the machine's certificate.
  static absl::StatusOr<std::unique_ptr<RelayClient>> Create(const TlsMaterial& own,
                                                             RelayTarget target);
  ~RelayClient();
  RelayClient(const RelayClient&) = delete;
  RelayClient& operator=(const RelayClient&) = delete;

  // Opens one channel and gives a connected local stream socket that stands for it; the caller owns
  // it. Blocks up to `timeout` over all addresses. UNAVAILABLE: no relay answers.
  // ABORTED: the gateway was lost meanwhile; a new ticket is needed.
  // PERMISSION_DENIED, NOT_FOUND, ...: the relay refused; the message is its reason.
  absl::StatusOr<int> Open(absl::Duration timeout);

  // Listens on a local socket (made with mode 0600; `path` must not exist) and opens a channel for
  // each connection that comes. `ended` is called on a thread of the client's: with the relay's
  // refusal or the network's failure for a channel that did not open, and with OK when the last
  // open channel has ended, or ABORTED when its gateway was lost. remote-viewer takes it as
  // `spice+unix://PATH`.
  absl::Status Listen(const std::string& path, std::function<void(const absl::Status&)> ended);

  // A channel went through a gateway, and its line was lost without an orderly end: the gateway is
  // gone, the session is not. Set before the local socket ends.
  bool gateway_lost() const;

  // Channels that are open.
  int channels() const;

 private:
  class Loop;
  explicit RelayClient(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace werkplek
