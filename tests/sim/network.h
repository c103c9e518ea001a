// Which messages get through between the machines of a simulation. Directions are cut one by one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace werkplek::sim {

// The store's members count as one node that stands in neither site.
inline constexpr char kStoreNode[] = "store";

class Network {
 public:
  // Every node is placed before it is asked about.
  void Place(const std::string& node, const std::string& site) { site_of_[node] = site; }
  const std::string& SiteOf(const std::string& node) const { return site_of_.at(node); }
  std::vector<std::string> Nodes() const;

  // Messages of that direction do not get through any more. Each end is a node or a site; inside a
  // site nothing is cut by the site's name.
  void Cut(const std::string& from, const std::string& to) { cuts_.insert({from, to}); }
  void Heal(const std::string& from, const std::string& to) { cuts_.erase({from, to}); }
  // Nothing goes into the node or out of it.
  void Clog(const std::string& node) { clogged_.insert(node); }
  void Unclog(const std::string& node) { clogged_.erase(node); }
  void HealAll();

  bool Open(const std::string& from, const std::string& to) const;
  bool OpenBothWays(const std::string& one, const std::string& other) const {
    return Open(one, other) && Open(other, one);
  }

 private:
  bool IsCut(const std::string& from, const std::string& to) const {
    return cuts_.count({from, to}) != 0;
  }

  std::map<std::string, std::string> site_of_;
  std::set<std::pair<std::string, std::string>> cuts_;
  std::set<std::string> clogged_;
};

}  // namespace werkplek::sim
