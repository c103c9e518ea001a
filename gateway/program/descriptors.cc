#include "gateway/program/descriptors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "gateway/link/broker_lines.h"

namespace werkplek {
namespace {

// To one broker: the streams' connections, that of the calls, and one that is being made anew.
constexpr uint64_t kOfBroker = BrokerLines::kMaxStreamConnections + 2;
// Ports, scrapes, probes, files that are read, and what the libraries keep for themselves.
constexpr uint64_t kOfProgram = 256;

// "limits.waiting: 512, limits.browsers: 2048", as far as there are such.
std::string WaitingLimits(const GatewayConfig& config) {
  const std::string clients = absl::StrCat("limits.waiting: ", config.relay.max_waiting);
  if (config.portal.addresses.empty()) return clients;
  return absl::StrCat(clients, ", limits.browsers: ", config.portal.max_waiting);
}

// Clients' and browsers' displays, each with as many channels.
uint64_t PortsOf(const GatewayConfig& config) { return config.portal.addresses.empty() ? 1 : 2; }

uint64_t DescriptorsWithoutChannels(const GatewayConfig& config) {
  const uint64_t browsers = PortsOf(config) == 2 ? config.portal.max_waiting : 0;
  return kDescriptorsOfConnection * (config.relay.max_waiting + browsers) +
         kOfBroker * config.brokers.size() + kOfProgram;
}

}  // namespace

uint64_t DescriptorsWhenFull(const GatewayConfig& config) {
  return kDescriptorsOfConnection * PortsOf(config) * config.relay.max_channels +
         DescriptorsWithoutChannels(config);
}

absl::Status FitDescriptors(uint64_t allowed, GatewayConfig& config) {
  const uint64_t needed = DescriptorsWhenFull(config);
  if (needed <= allowed) return absl::OkStatus();
  const uint64_t without = DescriptorsWithoutChannels(config);
  const uint64_t fit =
      (allowed - std::min(allowed, without)) / (kDescriptorsOfConnection * PortsOf(config));
  if (fit > 0 && !config.names_channels) {
    Log(Severity::kWarning, "channels-lowered",
        {{"channels", absl::StrCat(fit)},
         {"reason", absl::StrCat("this process may open ", allowed, " descriptors, and ",
                                 config.relay.max_channels, " channels take up to ", needed)}});
    config.relay.max_channels = config.portal.max_displays = fit;
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "this process may open ", allowed,
      " descriptors, but its limits (limits.channels: ", config.relay.max_channels, ", ",
      WaitingLimits(config), ") take up to ", needed, "; raise LimitNOFILE of the unit to that",
      fit > 0 ? absl::StrCat(", or set limits.channels to at most ", fit)
              : absl::StrCat(" (", without, " without any channel), or lower limits.waiting",
                             config.portal.addresses.empty() ? "" : " or limits.browsers")));
}

}  // namespace werkplek
