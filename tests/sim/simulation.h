// Runs one seed and judges it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/checkers.h"
#include "tests/sim/scenario.h"

namespace werkplek::sim {

struct Outcome {
  uint64_t events = 0;
  absl::Duration simulated;
  std::string trace_hash;
  Violations violations;
  // The end of the trace, when there are violations.
  std::vector<std::string> last_lines;
  // How much there was to judge.
  size_t commits = 0, sign_ins = 0, sessions = 0, displays = 0;
};

Outcome RunSeed(const Scenario& scenario, bool print_trace);

// The command that runs this seed again.
std::string CommandFor(const Scenario& scenario);

}  // namespace werkplek::sim
