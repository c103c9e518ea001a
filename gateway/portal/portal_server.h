// The portal's HTTPS port: pages, calls and displays for browsers. Everything is bounded, and
// nothing is kept: a browser's sign-in is in its cookie, and the brokers judge it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/rate_limit.h"
#include "common/metrics/metrics.h"
#include "common/tls/ssl_context.h"
#include "gateway/link/broker_lines.h"
#include "gateway/relay/host_dialer.h"

namespace werkplek {

struct PortalOptions {
  // "ADDRESS:PORT" each; port 0 takes a free one.
  std::vector<std::string> addresses;
  // The portal's own, exactly as browsers write them: "https://werkplek.example.nl".
  std::vector<std::string> origins;
  // Where noVNC is.
  std::string novnc = "/usr/share/novnc";
  // From the connection to the whole request.
  absl::Duration request_deadline = absl::Seconds(10);
  // From an answer to the whole next request: browsers keep six connections open each, in case.
  absl::Duration idle_deadline = absl::Seconds(2);
  // A browser that waits for a desktop hears its stage again after this long: one that hears
  // nothing for twice as long may take the gateway for lost.
  absl::Duration tell_again = absl::Seconds(10);
  // Before the brokers are asked for a desktop again, when none of them could go on: together as
  // long as a change of the leader takes.
  std::vector<absl::Duration> broker_pauses = {absl::Milliseconds(500), absl::Seconds(1),
                                               absl::Seconds(2), absl::Seconds(3),
                                               absl::Seconds(3)};
  // Connections without a display (yet), in all and from one address; many people may stand behind
  // it.
  size_t max_waiting = 2'048;
  size_t max_waiting_per_address = 512;
  size_t max_displays = 4'096;
  // What brokers are asked for the browsers of one address: enough for a town hall behind one
  // address, whose people all sign in at nine, and open their displays again after an outage.
  RateLimitSettings sign_ins_per_address = {.per_second = 10, .burst = 600};
  RateLimitSettings requests_per_address = {.per_second = 100, .burst = 2'000};
};

class PortalServer {
 public:
  // All outlive the server.
  struct Parts {
    // Asks browsers for no certificate.
    FollowingContext* tls = nullptr;
    BrokerLines* lines = nullptr;
    HostDialer* dialer = nullptr;
    Metrics* metrics = nullptr;
    // Displays that go through now; kept by the server.
    std::atomic<uint32_t>* displays = nullptr;
  };

  // Listens and serves on a thread of its own. NOT_FOUND: noVNC is not there. UNAVAILABLE: an
  // address is taken.
  static absl::StatusOr<std::unique_ptr<PortalServer>> Start(PortalOptions options,
                                                             const Parts& parts);
  // Ends every connection.
  ~PortalServer();
  PortalServer(const PortalServer&) = delete;
  PortalServer& operator=(const PortalServer&) = delete;

  // In the order of the addresses.
  std::vector<int> ports() const;
  // Connections that were closed at once since there were too many.
  uint64_t turned_away() const;

 private:
  class Inside;
  explicit PortalServer(std::unique_ptr<Inside> inside);
  const std::unique_ptr<Inside> inside_;
};

}  // namespace werkplek
