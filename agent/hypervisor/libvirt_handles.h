// libvirt's references as owned values.
#pragma once

#include <libvirt/libvirt.h>

#include <memory>

namespace werkplek {

struct DomainFree {
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
using DomainHandle = std::unique_ptr<virDomain, DomainFree>;

struct NetworkFree {
  void operator()(virNetworkPtr network) const { virNetworkFree(network); }
};
using NetworkHandle = std::unique_ptr<virNetwork, NetworkFree>;

struct CFree {
  void operator()(char* text) const { free(text); }
};
// A string that libvirt allocated.
using LibvirtString = std::unique_ptr<char, CFree>;

}  // namespace werkplek
