#include "tests/sim/network.h"

namespace werkplek::sim {

std::vector<std::string> Network::Nodes() const {
  std::vector<std::string> nodes;
  for (const auto& [node, site] : site_of_) nodes.push_back(node);
  return nodes;
}

void Network::HealAll() {
  cuts_.clear();
  clogged_.clear();
}

bool Network::Open(const std::string& from, const std::string& to) const {
  if (cuts_.empty() && clogged_.empty()) return true;
  if (clogged_.count(from) != 0 || clogged_.count(to) != 0) return false;
  const std::string& from_site = SiteOf(from);
  const std::string& to_site = SiteOf(to);
  if (IsCut(from, to) || IsCut(from_site, to) || IsCut(from, to_site)) return false;
  return from_site == to_site || !IsCut(from_site, to_site);
}

}  // namespace werkplek::sim
