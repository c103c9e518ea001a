// What a gateway asks of the brokers, and that it tells them that it is there.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gateway/link/broker_lines.h"
#include "werkplek/v1/gateway.pb.h"

namespace werkplek {

struct GatewayLinkSettings {
  // "ADDRESS:PORT" of the brokers' ports for clients, tried in turn.
  std::vector<std::string> brokers;
  // What is announced; `channels` is filled in each time.
  v1::AnnounceGatewayRequest announcement;
  absl::Duration announce_interval = absl::Seconds(1);
  // For one broker.
  absl::Duration call_deadline = absl::Seconds(2);
};

// Thread-safe.
class GatewayLink {
 public:
  using Found = std::function<void(absl::StatusOr<v1::FindDisplayResponse>)>;

  // Announces from now on, on a thread of its own. `channels` gives the displays that go through.
  GatewayLink(GatewayLinkSettings settings,
              const std::shared_ptr<grpc::ChannelCredentials>& credentials,
              std::function<uint32_t()> channels);
  // Ends what is under way; no callback comes afterwards.
  ~GatewayLink();
  GatewayLink(const GatewayLink&) = delete;
  GatewayLink& operator=(const GatewayLink&) = delete;

  // Where the display is that this ticket opens. Returns at once; `found` is called once, from any
  // thread. NOT_FOUND: there is none. UNAVAILABLE: no broker could say.
  void Find(v1::FindDisplayRequest request, Found found);

  // For calls on behalf of people; they live as long as the link.
  BrokerLines& lines();

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace werkplek
