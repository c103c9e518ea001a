// How often hosts with desktops that must not run twice were out of the leader's reach, and what
// came of it. Pure.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "tests/sim/history.h"

namespace werkplek::sim {

// Every desktop that was ever in a pool that was ever fenced.
std::set<std::string> FencedDesktops(const History& history);

struct Isolations {
  // Times that no leader heard a host for `suspect_after` and more while such a desktop ran on it,
  // whether its line was cut or its agent or the leader stood still, was killed, or ran slow.
  size_t hosts = 0;
  // Of these, for longer than `fence_after`.
  size_t fenced = 0;
  // How long such desktops ran on two hosts, added up.
  absl::Duration overlap;
  // Desktops that were started on another host after a fence was confirmed, and how long it took
  // at most from the commit that says so until they ran there.
  size_t restarts = 0;
  absl::Duration longest_restart;

  void Add(const Isolations& other);
};

Isolations CountIsolations(const History& history);

// One line for people.
std::string Told(const Isolations& isolations);

}  // namespace werkplek::sim
