#include "agent/hypervisor/libvirt_network.h"

#include <libvirt/virterror.h>

#include "absl/strings/str_cat.h"
#include "agent/hypervisor/host_network.h"
#include "agent/hypervisor/libvirt_error.h"
#include "agent/hypervisor/libvirt_handles.h"

namespace werkplek {
namespace {

bool IsNoNetwork() {
  const virErrorPtr error = virGetLastError();
  return error != nullptr && error->code == VIR_ERR_NO_NETWORK;
}

}  // namespace

absl::Status FindLibvirtNetwork(virConnectPtr connection, const std::string& name) {
  const NetworkHandle network(virNetworkLookupByName(connection, name.c_str()));
  if (network == nullptr && IsNoNetwork()) {
    virResetLastError();
    return absl::NotFoundError(
        absl::StrCat("libvirt has no network ", name, "; define it (virsh net-define)"));
  }
  if (network == nullptr) return LastLibvirtStatus("cannot look for the network");
  const int active = virNetworkIsActive(network.get());
  if (active < 0) return LastLibvirtStatus("cannot look at the network");
  if (active == 1) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("libvirt's network ", name,
                                                    " is not active; start it (virsh net-start, "
                                                    "and net-autostart for the next boot)"));
}

absl::Status OfferBridge(virConnectPtr connection, const HostNetwork& network) {
  const std::string name = LibvirtNetworkOf(network);
  const NetworkHandle there(virNetworkLookupByName(connection, name.c_str()));
  if (there == nullptr && !IsNoNetwork()) return LastLibvirtStatus("cannot look for the network");
  virResetLastError();
  if (there != nullptr && virNetworkIsActive(there.get()) == 1) {
    const LibvirtString xml(virNetworkGetXMLDesc(there.get(), 0));
    if (xml == nullptr) return LastLibvirtStatus("cannot look at the network");
    if (IsBridgeNetwork(xml.get(), network)) return absl::OkStatus();
    // A bridge that libvirt did not make is not taken down with it.
    if (virNetworkDestroy(there.get()) < 0) {
      return LastLibvirtStatus(absl::StrCat("cannot make libvirt's network ", name, " anew"));
    }
  }
  const std::string xml = BuildBridgeNetworkXml(network);
  const NetworkHandle made(virNetworkCreateXML(connection, xml.c_str()));
  return made != nullptr ? absl::OkStatus()
                         : LastLibvirtStatus(absl::StrCat("cannot tell libvirt of bridge ",
                                                          network.bridge, " as network ", name));
}

}  // namespace werkplek
