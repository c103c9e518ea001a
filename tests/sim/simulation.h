// Runs one seed and judges it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/checkers.h"
#include "tests/sim/isolation.h"
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
  // Moves that ended at the other host, and that were called off.
  size_t moved = 0, called_off = 0;
  // Answers to calls that had been answered before.
  size_t repeats = 0;
  Isolations isolations;
};

Outcome RunSeed(const Scenario& scenario, bool print_trace);

// The command that runs this seed again.
std::string CommandFor(const Scenario& scenario);

}  // namespace werkplek::sim
