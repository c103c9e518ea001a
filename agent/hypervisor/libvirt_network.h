// libvirt's networks. Blocking, without a bound of its own (LibvirtHypervisor adds it).
#pragma once

#include <libvirt/libvirt.h>

#include <string>

#include "absl/status/status.h"
#include "agent/hypervisor/hypervisor.h"

namespace werkplek {

// Whether the network is defined there and active; otherwise what to do.
absl::Status FindLibvirtNetwork(virConnectPtr connection, const std::string& name);

// libvirt knows the bridge as LibvirtNetworkOf(network), from now until the host boots. One that
// says something else is made anew; cards that are in it stay where they are.
absl::Status OfferBridge(virConnectPtr connection, const HostNetwork& network);

}  // namespace werkplek
