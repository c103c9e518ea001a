// Pictures of sites for the tests of balancing.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/reconcile/balancing.h"

namespace werkplek {

inline BalanceHost Host(const std::string& name, uint64_t committed_mib,
                        const std::string& site = "a") {
  BalanceHost host;
  host.name = name;
  host.site = site;
  host.open = true;
  host.reachable = true;
  host.receives = true;
  host.locks = true;
  host.storages = {"san"};
  host.networks = {"kantoor"};
  host.memory_limit_mib = 10'000;
  host.memory_committed_mib = committed_mib;
  host.desktops = static_cast<uint32_t>(committed_mib / 1000);
  host.max_starts = 4;
  host.cpus = 16;
  return host;
}

inline BalanceDesktop Desktop(const std::string& id, const std::string& host,
                              Felt felt = Felt::kLater) {
  BalanceDesktop desktop;
  desktop.id = id;
  desktop.host = host;
  desktop.storage = "san";
  desktop.network = "kantoor";
  desktop.felt = felt;
  desktop.runs = true;
  desktop.memory_mib = 1000;
  desktop.vcpus = 2;
  return desktop;
}

// Hosts with so many desktops of 1000 MiB each: "hv-a1-0", "hv-a1-1", ...
inline BalancePicture Picture(const std::map<std::string, int>& hosts, Felt felt = Felt::kLater) {
  BalancePicture picture;
  for (const auto& [name, count] : hosts) {
    picture.hosts.push_back(Host(name, static_cast<uint64_t>(count) * 1000));
    for (int i = 0; i < count; ++i) {
      picture.desktops.push_back(Desktop(absl::StrCat(name, "-", i), name, felt));
    }
  }
  return picture;
}

inline BalanceHost& HostOf(BalancePicture& picture, const std::string& name) {
  return *std::find_if(picture.hosts.begin(), picture.hosts.end(),
                       [&](const auto& host) { return host.name == name; });
}

inline BalanceDesktop& DesktopOf(BalancePicture& picture, const std::string& id) {
  return *std::find_if(picture.desktops.begin(), picture.desktops.end(),
                       [&](const auto& desktop) { return desktop.id == id; });
}

inline BalancePlan Even(const BalancePicture& picture, bool at_once = false, size_t most = 100) {
  return PlanRebalance(picture, "a", MoveLimits(), at_once, most);
}

inline std::vector<std::string> Lines(const std::vector<PlannedMove>& moves) {
  std::vector<std::string> lines;
  for (const auto& move : moves) {
    lines.push_back(absl::StrCat(move.desktop, ": ", move.from, " to ", move.to));
  }
  return lines;
}

}  // namespace werkplek
