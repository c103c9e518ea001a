#include "tests/sim/simulation.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace werkplek::sim {

Outcome RunSeed(const Scenario& scenario, bool print_trace) {
  World world(scenario, print_trace);
  world.Run();
  Outcome outcome;
  outcome.events = world.trace().events();
  outcome.simulated = world.now();
  outcome.trace_hash = world.trace().Hash();
  outcome.violations = CheckAll(world.history(), world.truth());
  if (!outcome.violations.empty()) {
    outcome.last_lines.assign(world.trace().last().begin(), world.trace().last().end());
  }
  outcome.commits = world.history().commits.size();
  for (const SignInTry& attempt : world.history().sign_ins) outcome.sign_ins += attempt.accepted;
  std::set<std::string> sessions;
  for (const ReadySeen& ready : world.history().readies) sessions.insert(ready.session);
  outcome.sessions = sessions.size();
  outcome.displays = world.history().displays.size();
  for (const MoveSeen& move : world.history().moves) {
    outcome.moved += move.step == MoveSeen::Step::kEnded ? 1 : 0;
    outcome.called_off += move.step == MoveSeen::Step::kCalledOff ? 1 : 0;
  }
  std::set<std::string> answered;
  for (const AnswerSeen& answer : world.history().answers) {
    outcome.repeats += answered.insert(answer.request).second ? 0 : 1;
  }
  outcome.isolations = CountIsolations(world.history());
  return outcome;
}

std::string CommandFor(const Scenario& scenario) {
  std::string command =
      absl::StrCat("./tests/sim/run --first-seed ", scenario.seed, " --seeds 1 --trace");
  if (scenario.sabotage != Sabotage::kNone) {
    absl::StrAppend(&command, " --sabotage ", SabotageName(scenario.sabotage));
  }
  return command;
}

}  // namespace werkplek::sim
