// Runs a range of seeds, tells what it saw, and ends with 1 when a rule was broken.
#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "tests/sim/simulation.h"

namespace werkplek::sim {
namespace {

struct Arguments {
  uint64_t first_seed = 1;
  uint64_t seeds = 500;
  double budget_seconds = 0;
  bool trace = false;
  bool keep_going = false;
  std::string sabotage = "none";
};

void Print(const Scenario& scenario, const Outcome& outcome) {
  std::printf("seed %llu:", static_cast<unsigned long long>(scenario.seed));
  for (const Workload workload : scenario.workloads) std::printf(" %s", WorkloadName(workload));
  std::printf("\n");
  size_t shown = 0;
  for (const Violation& violation : outcome.violations) {
    if (++shown > 12) break;
    std::printf("  %s: %s\n", violation.rule.c_str(), violation.what.c_str());
  }
  if (outcome.violations.size() > shown) {
    std::printf("  ... and %zu more\n", outcome.violations.size() - shown);
  }
  std::printf("  again: %s\n", CommandFor(scenario).c_str());
}

int Run(const Arguments& arguments) {
  Sabotage sabotage = Sabotage::kNone;
  for (int i = 0; i < kSabotages; ++i) {
    if (arguments.sabotage == SabotageName(static_cast<Sabotage>(i))) {
      sabotage = static_cast<Sabotage>(i);
    }
  }
  const absl::Time began = absl::Now();
  uint64_t ran = 0, events = 0, broken = 0, sessions = 0, displays = 0, sign_ins = 0;
  uint64_t moved = 0, called_off = 0, repeats = 0;
  Isolations isolations;
  absl::Duration simulated;
  for (uint64_t seed = arguments.first_seed; seed < arguments.first_seed + arguments.seeds;
       ++seed) {
    const double spent = absl::ToDoubleSeconds(absl::Now() - began);
    if (arguments.budget_seconds > 0 && spent > arguments.budget_seconds) break;
    const Scenario scenario = MakeScenario(seed, sabotage);
    const Outcome outcome = RunSeed(scenario, arguments.trace);
    ++ran;
    events += outcome.events;
    simulated += outcome.simulated;
    sessions += outcome.sessions;
    displays += outcome.displays;
    sign_ins += outcome.sign_ins;
    moved += outcome.moved;
    called_off += outcome.called_off;
    repeats += outcome.repeats;
    isolations.Add(outcome.isolations);
    if (outcome.violations.empty()) continue;
    ++broken;
    Print(scenario, outcome);
    if (!arguments.keep_going) break;
  }
  const double spent = absl::ToDoubleSeconds(absl::Now() - began);
  std::printf(
      "%llu seeds, %llu events, %llu sign-ins, %llu sessions, %llu displays; %.0f simulated "
      "seconds in %.1f s (%.0f times as fast)\n",
      static_cast<unsigned long long>(ran), static_cast<unsigned long long>(events),
      static_cast<unsigned long long>(sign_ins), static_cast<unsigned long long>(sessions),
      static_cast<unsigned long long>(displays), absl::ToDoubleSeconds(simulated), spent,
      absl::ToDoubleSeconds(simulated) / spent);
  std::printf("%s\nmoves: %llu, called off: %llu; repeated answers: %llu\n",
              Told(isolations).c_str(), static_cast<unsigned long long>(moved),
              static_cast<unsigned long long>(called_off),
              static_cast<unsigned long long>(repeats));
  std::printf(
      broken == 0 ? "OK: no rule was broken\n" : "FAILED: rules were broken in %llu seeds\n",
      static_cast<unsigned long long>(broken));
  return broken == 0 ? 0 : 1;
}

}  // namespace
}  // namespace werkplek::sim

int main(int argc, char** argv) {
  CLI::App app("Simulates the broker and its agents on virtual time, seed by seed.");
  werkplek::sim::Arguments arguments;
  app.add_option("--first-seed", arguments.first_seed, "the first seed");
  app.add_option("--seeds", arguments.seeds, "how many seeds");
  app.add_option("--budget-seconds", arguments.budget_seconds, "begin no seed after this long");
  app.add_flag("--trace", arguments.trace, "show every event");
  app.add_flag("--keep-going", arguments.keep_going, "do not stop at the first broken seed");
  app.add_option("--sabotage", arguments.sabotage, "run a deliberately wrong variant");
  CLI11_PARSE(app, argc, argv);
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (!arguments.trace) werkplek::SetLogSink([](const std::string&) {});
  return werkplek::sim::Run(arguments);
}
