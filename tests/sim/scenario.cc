#include "tests/sim/scenario.h"

#include <algorithm>

namespace werkplek::sim {

const char* WorkloadName(Workload workload) {
  static constexpr const char* kNames[kWorkloads] = {
      "login-storm", "workday",       "reconnects",     "pool-resize",    "drain",
      "host-loss",   "agent-restart", "broker-restart", "slow-directory", "bad-store",
      "bad-links",   "elections",     "help-desk",      "broker-pause",   "store-cut",
      "site-cut",    "site-loss",     "swizzle",        "clock-jump",     "rolling-upgrade",
      "rebalance",   "even-policy",   "consolidation",  "evacuation",     "isolation"};
  return kNames[static_cast<int>(workload)];
}

const char* SabotageName(Sabotage sabotage) {
  static constexpr const char* kNames[kSabotages] = {"none",
                                                     "acknowledge-before-commit",
                                                     "forget-last-step",
                                                     "forget-sign-out",
                                                     "reuse-dirty-desktop",
                                                     "skip-entitlement",
                                                     "skip-token",
                                                     "ticket-opens-again",
                                                     "ignore-ticket-owner",
                                                     "ignore-epoch",
                                                     "forget-host-limits",
                                                     "lose-desktop-changes",
                                                     "lose-reports",
                                                     "drop-epoch-guard",
                                                     "stale-read",
                                                     "follower-counts-code",
                                                     "judge-before-grace",
                                                     "forget-epoch",
                                                     "forget-audit",
                                                     "start-before-fence",
                                                     "fence-from-last-lease",
                                                     "forget-moves",
                                                     "moved-before-reported",
                                                     "remove-arrived",
                                                     "forget-deed",
                                                     "forget-answers"};
  return kNames[static_cast<int>(sabotage)];
}

bool Scenario::Has(Workload workload) const {
  return std::find(workloads.begin(), workloads.end(), workload) != workloads.end();
}

namespace {

// Those that any seed may draw.
constexpr int kDrawn = static_cast<int>(Workload::kRollingUpgrade) + 1;
// Seeds up to this one mean what they meant before there were dedicated pools and moves.
constexpr uint64_t kPlainSeeds = 240;

// What a wrong variant needs to show itself.
std::vector<Workload> NeedsOf(Sabotage sabotage) {
  switch (sabotage) {
    case Sabotage::kAcknowledgeBeforeCommit:
    case Sabotage::kForgetLastStep:
    case Sabotage::kForgetSignOut:
    case Sabotage::kLoseDesktopChanges:
    case Sabotage::kStaleRead:
    case Sabotage::kJudgeBeforeGrace:
      return {Workload::kBrokerRestart};
    case Sabotage::kIgnoreEpoch:
      return {Workload::kElections};
    case Sabotage::kDropEpochGuard:
      return {Workload::kElections, Workload::kBrokerPause};
    case Sabotage::kStartBeforeFence:
      return {Workload::kBadLinks};
    case Sabotage::kFenceFromLastLease:
      return {Workload::kBadLinks, Workload::kBrokerRestart};
    case Sabotage::kForgetEpoch:
      return {Workload::kElections, Workload::kAgentRestart};
    case Sabotage::kForgetMoves:
      return {Workload::kBrokerRestart, Workload::kRebalance, Workload::kDrain};
    case Sabotage::kMovedBeforeReported:
    case Sabotage::kRemoveArrived:
      return {Workload::kRebalance, Workload::kDrain};
    case Sabotage::kForgetDeed:
      return {Workload::kRebalance, Workload::kDrain, Workload::kHostLoss};
    default:
      return {};
  }
}

bool NeedsDedicated(Sabotage sabotage) {
  return sabotage == Sabotage::kStartBeforeFence || sabotage == Sabotage::kFenceFromLastLease;
}

bool NeedsMoves(Sabotage sabotage) {
  return sabotage >= Sabotage::kForgetMoves && sabotage <= Sabotage::kForgetDeed;
}

void AddMoves(Scenario& scenario, Chance& chance) {
  scenario.moves = true;
  // Nothing moves between sites.
  scenario.hosts = std::max(scenario.hosts, scenario.sites == 1 ? 2 : 4);
  const auto add = [&](Workload workload) {
    if (!scenario.Has(workload)) scenario.workloads.push_back(workload);
  };
  const Workload reasons[] = {Workload::kDrain, Workload::kRebalance, Workload::kEvenPolicy,
                              Workload::kConsolidation, Workload::kEvacuation};
  for (const Workload reason : reasons) {
    if (chance.Percent(45)) add(reason);
  }
  add(reasons[chance.Below(2)]);
  if (chance.Percent(40)) add(Workload::kAgentRestart);
  if (chance.Percent(40)) add(Workload::kBrokerRestart);
  if (chance.Percent(30)) add(Workload::kHostLoss);
  if (chance.Percent(30)) add(Workload::kBadLinks);
}

}  // namespace

Scenario MakeScenario(uint64_t seed, Sabotage sabotage) {
  Chance chance(seed ^ 0x5ce0a110);
  Scenario scenario;
  scenario.seed = seed;
  scenario.sabotage = sabotage;
  scenario.sites = chance.Percent(65) ? 2 : 1;
  scenario.brokers = chance.Between(scenario.sites, 3);
  scenario.hosts = chance.Between(scenario.sites, 4);
  scenario.users = chance.Between(3, 14);
  scenario.pools = chance.Between(1, 2);
  scenario.host_memory_mib = 1024 * chance.Between(2, 5);
  scenario.max_desktops = chance.Between(3, 12);
  scenario.spares = chance.Between(0, 3);
  scenario.suspend_after_s = chance.Percent(70) ? chance.Between(5, 30) : 0;
  scenario.end_after_s = chance.Percent(70) ? scenario.suspend_after_s + chance.Between(15, 60) : 0;
  scenario.guest_agent = chance.Percent(75);
  scenario.busy = absl::Seconds(chance.Between(120, 260));
  // People do one thing, some things go wrong.
  scenario.workloads.push_back(static_cast<Workload>(chance.Below(3)));
  const int wrong = chance.Between(1, 5);
  for (int i = 0; i < wrong; ++i) {
    const auto workload = static_cast<Workload>(3 + chance.Below(kDrawn - 3));
    if (!scenario.Has(workload)) scenario.workloads.push_back(workload);
  }
  for (const Workload need : NeedsOf(sabotage)) {
    if (!scenario.Has(need)) scenario.workloads.push_back(need);
  }
  if (sabotage == Sabotage::kFollowerCountsCode || sabotage == Sabotage::kDropEpochGuard) {
    scenario.brokers = std::max(scenario.brokers, 2);
  }
  // Drawn apart, so that what seeds meant before stays as it was.
  Chance apart(seed ^ 0xded1ca7ed);
  scenario.dedicated = NeedsDedicated(sabotage) || (seed > kPlainSeeds && apart.Percent(50));
  if (scenario.dedicated) {
    scenario.pools = 2;
    scenario.hosts = std::max(scenario.hosts, 2);
    if (sabotage == Sabotage::kNone && !scenario.Has(Workload::kIsolation)) {
      scenario.workloads.push_back(Workload::kIsolation);
    }
    scenario.fence_command = sabotage == Sabotage::kNone && apart.Percent(30);
  }
  Chance moving(seed ^ 0x30e5);
  if (NeedsMoves(sabotage) ||
      (sabotage == Sabotage::kNone && seed > kPlainSeeds && moving.Percent(50))) {
    AddMoves(scenario, moving);
  }
  Chance repeating(seed ^ 0x2ece1);
  scenario.repeats = sabotage == Sabotage::kForgetAnswers ||
                     (sabotage == Sabotage::kNone && seed > kPlainSeeds && repeating.Percent(60));
  scenario.night = scenario.repeats && repeating.Percent(20);
  return scenario;
}

}  // namespace werkplek::sim
