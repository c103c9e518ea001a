// The load on the node with its SQLite store: people who are signed in ask for a desktop, and wait
// until theirs is theirs for good.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/bench_base.h"

namespace werkplek {

// The real BrokerNode, core and SqliteStore; hosts that obey in memory and report once a second.
// Every person gets one of the spares. `file` must not exist.
struct AssignmentLoadSettings {
  std::string file;
  // Connects under way at once.
  int in_flight = 64;
  int warm_up = 0;
  int count = 0;
  int hosts = 20;
};

// A latency ends with the first message that names the desktop: it is durable by then. `failed`
// counts people who got anything else.
absl::StatusOr<LoadResult> RunAssignmentLoad(const AssignmentLoadSettings& settings);

}  // namespace werkplek
