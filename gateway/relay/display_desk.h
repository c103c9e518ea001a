// Clients at this gateway: asks the broker where the display of each ticket is, opens it at that
// host's relay, and joins the two. Nothing is decided here: the host judges the ticket.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/metrics/metrics.h"
#include "common/relay/relay_server.h"
#include "common/tls/tls_files.h"
#include "gateway/link/broker_link.h"
#include "gateway/relay/host_dialer.h"

namespace werkplek {

class DisplayDesk {
 public:
  // Asks where a display is (GatewayLink::Find).
  using Finder = std::function<void(v1::FindDisplayRequest request, GatewayLink::Found found)>;

  struct Parts {
    // This gateway's certificate, for the way to the hosts; `tls` is the port's.
    TlsFiles own;
    FollowingContext* tls = nullptr;
    // No call of its `found` may come after the desk; whoever stops it first sees to that.
    Finder find;
    Metrics* metrics = nullptr;
  };

  // Listens at once. Everything in `parts` outlives the desk.
  static absl::StatusOr<std::unique_ptr<DisplayDesk>> Start(RelayOptions options, Parts parts);
  // Cuts every display.
  ~DisplayDesk();
  DisplayDesk(const DisplayDesk&) = delete;
  DisplayDesk& operator=(const DisplayDesk&) = delete;

  // In the order of the relay's addresses.
  std::vector<int> ports() const;
  // Of its relay: connections that were closed at once since there were too many.
  uint64_t turned_away() const;
  // Displays that go through now.
  uint32_t channels() const;

 private:
  struct Shared;
  explicit DisplayDesk(Parts parts);

  // Not in `shared_`: the last one to let go of that may be the dialer's own thread.
  std::unique_ptr<HostDialer> dialer_;
  const std::shared_ptr<Shared> shared_;
  std::unique_ptr<RelayServer> server_;
};

// Counts a display that was asked for: "opened", or why it was not.
void CountDisplay(Metrics& metrics, const char* answer);

// What a client is told when its display was not found, or not opened.
RelayVerdict RefusalFor(const absl::Status& status);

}  // namespace werkplek
