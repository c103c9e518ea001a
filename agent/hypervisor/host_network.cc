#include "agent/hypervisor/host_network.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <pugixml.hpp>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// The kernel's IFNAMSIZ, less its end.
constexpr size_t kMaxInterfaceBytes = 15;
constexpr size_t kMaxNetworkBytes = 63;
constexpr size_t kCardAddressBytes = 6;
constexpr uint32_t kInterfaceUp = 1;  // IFF_UP.

bool IsWord(absl::string_view name, size_t most) {
  if (name.empty() || name.size() > most || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
  });
}

absl::Status WithField(absl::string_view field, const absl::Status& status) {
  return status.ok() ? status
                     : absl::Status(status.code(), absl::StrCat(field, ": ", status.message()));
}

}  // namespace

absl::Status CheckBridgeName(const std::string& name) {
  if (IsWord(name, kMaxInterfaceBytes)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "must be the name of a Linux bridge: 1 to 15 of A-Z, a-z, 0-9, '.', '_' and '-'");
}

absl::Status CheckLibvirtNetworkName(const std::string& name) {
  if (IsWord(name, kMaxNetworkBytes)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "must be the name of a network in libvirt: 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-'");
}

absl::Status CheckHostNetwork(const HostNetwork& network) {
  if (network.bridge.empty() == network.libvirt_network.empty()) {
    return absl::InvalidArgumentError("network: give either bridge or libvirt_network");
  }
  if (!network.bridge.empty()) return WithField("bridge", CheckBridgeName(network.bridge));
  return WithField("libvirt_network", CheckLibvirtNetworkName(network.libvirt_network));
}

std::string CardAddressOf(absl::string_view desktop) {
  std::string bytes = Sha256(desktop).substr(0, kCardAddressBytes);
  bytes[0] = static_cast<char>((bytes[0] & 0xfc) | 0x02);
  std::vector<std::string> pairs;
  for (const char byte : bytes) pairs.push_back(absl::BytesToHexString({&byte, 1}));
  return absl::StrJoin(pairs, ":");
}

std::string LibvirtNetworkOf(const HostNetwork& network) {
  return network.bridge.empty() ? network.libvirt_network : MovingNameOf(network.name);
}

std::string BuildBridgeNetworkXml(const HostNetwork& network) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("network");
  root.append_child("name").text().set(LibvirtNetworkOf(network).c_str());
  root.append_child("forward").append_attribute("mode").set_value("bridge");
  root.append_child("bridge").append_attribute("name").set_value(network.bridge.c_str());
  if (network.isolated) root.append_child("port").append_attribute("isolated").set_value("yes");
  std::ostringstream out;
  document.save(out, "  ", pugi::format_indent | pugi::format_no_declaration);
  return out.str();
}

bool IsBridgeNetwork(absl::string_view xml, const HostNetwork& network) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return false;
  const pugi::xml_node root = document.child("network");
  const absl::string_view mode = root.child("forward").attribute("mode").value();
  const absl::string_view isolated = root.child("port").attribute("isolated").value();
  return mode == "bridge" && root.child("bridge").attribute("name").value() == network.bridge &&
         (isolated == "yes") == network.isolated;
}

absl::Status BridgeAtHand(const std::string& sys_class_net, const std::string& bridge) {
  const std::filesystem::path folder = std::filesystem::path(sys_class_net) / bridge;
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return absl::NotFoundError(absl::StrCat("this host has no bridge ", bridge,
                                            "; make it in the host's own network configuration"));
  }
  if (!std::filesystem::is_directory(folder / "bridge", error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(bridge, " is no bridge; make one, and put ", bridge, " into it"));
  }
  std::ifstream file(folder / "flags");
  std::string text;
  uint32_t flags = 0;
  if (!(file >> text) || !absl::SimpleHexAtoi(text, &flags)) {
    return absl::FailedPreconditionError(absl::StrCat("cannot read ", folder.string(), "/flags"));
  }
  if ((flags & kInterfaceUp) != 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("bridge ", bridge, " is down; bring it up (ip link set ", bridge, " up)"));
}

}  // namespace werkplek
