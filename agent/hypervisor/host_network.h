// The networks that desktops have a card in: their names, their XML, the card's address. Pure, but
// for BridgeAtHand.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "agent/hypervisor/hypervisor.h"

namespace werkplek {

// INVALID_ARGUMENT: no name that a Linux bridge can have (1 to 15 of [A-Za-z0-9._-], no dot first).
absl::Status CheckBridgeName(const std::string& name);
// INVALID_ARGUMENT: not 1 to 63 of [A-Za-z0-9._-], no dot first.
absl::Status CheckLibvirtNetworkName(const std::string& name);
// As above, with the field; INVALID_ARGUMENT, too, when not exactly one of the two is given.
absl::Status CheckHostNetwork(const HostNetwork& network);

// The address of the desktop's card: the same for ever and on every host, so that DHCP gives it the
// same lease and its guest finds the same card. Locally administered, unicast: "d2:5f:...".
std::string CardAddressOf(absl::string_view desktop);

// The name of the network as libvirt has it, which domains and moves go by: that of the bridge is
// our own, so that each host's libvirt finds its own bridge by it.
std::string LibvirtNetworkOf(const HostNetwork& network);
// The libvirt network that stands for the bridge.
std::string BuildBridgeNetworkXml(const HostNetwork& network);
// Whether a network's XML, as libvirt gives it, says the same.
bool IsBridgeNetwork(absl::string_view xml, const HostNetwork& network);

// Whether the bridge is there and up; `sys_class_net` is /sys/class/net. NOT_FOUND and
// FAILED_PRECONDITION say what to do.
absl::Status BridgeAtHand(const std::string& sys_class_net, const std::string& bridge);

}  // namespace werkplek
