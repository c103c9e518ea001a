// Shows a desktop's screen: a tunnel to the relay, and a viewer, a port or a picture at its end.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/login/command.h"
#include "common/relay/relay_client.h"

namespace werkplek {

// What a display needs of its surroundings.
struct DisplayPorts {
  // "remote-viewer".
  std::string viewer;
  // Opens the tunnel for the one kind of channel.
  std::function<absl::StatusOr<std::unique_ptr<RelayClient>>(RelayTarget target)> open_relay;
  std::ostream& out;
  Language language = Language::kEnglish;
  GatewayUse gateways = GatewayUse::kWhenNeeded;
};

// Returns when the screen is closed, for whatever reason. CANCELLED: interrupted. ABORTED: the
// gateway that it went through was lost; the session stands, and another ticket shows it again.
absl::Status ShowDisplay(const DisplayPorts& ports, const v1::Ready& ready,
                         const DisplayChoice& choice);

}  // namespace werkplek
