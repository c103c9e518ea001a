// Opens displays at the hosts' relays for clients of this gateway.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/relay/relay_client.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// Thread-safe.
class HostDialer {
 public:
  // Dials that may be under way to one host at once; more wait their turn. A relay lets in so many
  // from one address that have not shown a ticket yet, and twice that.
  static constexpr size_t kAtOnce = 32;
  static constexpr size_t kMaxWaiting = 1'024;
  // The host's relay takes up to this to open a display.
  static constexpr absl::Duration kTimeout = absl::Seconds(30);

  // `own`: this gateway's; a renewed certificate is used by the next dial.
  explicit HostDialer(TlsFiles own);
  // Cuts every channel. Dials that did not end yet end with CANCELLED.
  ~HostDialer();
  HostDialer(const HostDialer&) = delete;
  HostDialer& operator=(const HostDialer&) = delete;

  // Opens a channel and gives a connected local socket that stands for it, owned by whoever is
  // told. Returns at once; `opened` is called once, on the dialer's thread. Errors are those of
  // RelayClient::Open.
  void Dial(RelayTarget target, absl::Duration timeout,
            std::function<void(absl::StatusOr<int>)> opened);

 private:
  class Loop;
  const std::unique_ptr<Loop> loop_;
};

}  // namespace werkplek
