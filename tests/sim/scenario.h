// What one seed means: the size of the world, what people do in it, and what goes wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "tests/sim/chance.h"

namespace werkplek::sim {

enum class Workload {
  kLoginStorm,
  kWorkday,
  kReconnects,
  kPoolResize,
  kDrain,
  kHostLoss,
  kAgentRestart,
  kBrokerRestart,
  kSlowDirectory,
  kBadStore,
  kBadLinks,
  kElections,
  kHelpDesk,
  kBrokerPause,
  kStoreCut,
  kSiteCut,
  kSiteLoss,
  kSwizzle,
  kClockJump,
  kRollingUpgrade,
  // Only where desktops can move.
  kRebalance,
  kEvenPolicy,
  kConsolidation,
  kEvacuation,
  // Only where there is a dedicated pool.
  kIsolation,
};
inline constexpr int kWorkloads = static_cast<int>(Workload::kIsolation) + 1;

const char* WorkloadName(Workload workload);

// Deliberately wrong brokers and agents; each must be caught.
enum class Sabotage {
  kNone,
  // The store says OK before it has written; a crash loses it.
  kAcknowledgeBeforeCommit,
  // The store forgets which code was used last.
  kForgetLastStep,
  // The store keeps sign-ins that were signed out.
  kForgetSignOut,
  // A reset gives the old overlay under a new identity.
  kReuseDirtyDesktop,
  // The broker is told that everybody is in every group.
  kSkipEntitlement,
  // The broker waives the token everywhere.
  kSkipToken,
  // The agent opens a display for a ticket that was used or is late.
  kTicketOpensAgain,
  // The agent opens a display for whoever knows a ticket.
  kIgnoreTicketOwner,
  // The agent takes every epoch for the newest.
  kIgnoreEpoch,
  // Hosts claim more memory than they have.
  kForgetHostLimits,
  // The store loses one in some changes of desktops.
  kLoseDesktopChanges,
  // The broker never hears that a viewer or a host is well again after a link broke.
  kLoseReports,
  // The store takes commits of any epoch.
  kDropEpochGuard,
  // A new leader works from what the store was some time ago.
  kStaleRead,
  // A broker that does not lead judges codes by what it alone has seen.
  kFollowerCountsCode,
  // A new leader counts the time before it led as the hosts' silence.
  kJudgeBeforeGrace,
  // The agent keeps no epoch on its disk.
  kForgetEpoch,
  // The store loses one in some records of the audit trail.
  kForgetAudit,
  // The broker starts a kept desktop elsewhere as soon as its host is down.
  kStartBeforeFence,
  // A new leader reckons that nobody spoke to the agents since long before it led.
  kFenceFromLastLease,
  // The store does not keep where desktops are moving to, so the next leader counts their memory
  // on one host.
  kForgetMoves,
  // A move is taken for done as soon as it is begun.
  kMovedBeforeReported,
  // What arrives on a host is taken for unknown there, and removed.
  kRemoveArrived,
  // A move leaves the disk's deed as it was.
  kForgetDeed,
  // The store keeps no answers to calls.
  kForgetAnswers,
};
inline constexpr int kSabotages = static_cast<int>(Sabotage::kForgetAnswers) + 1;

const char* SabotageName(Sabotage sabotage);

// The storage that the hosts of a scenario with a dedicated pool, or with moves, share.
inline constexpr char kSharedStorage[] = "san";
// The network in which the desktops of a scenario with moves have a card.
inline constexpr char kNetwork[] = "kantoor";

struct Scenario {
  uint64_t seed = 1;
  Sabotage sabotage = Sabotage::kNone;
  int sites = 1;
  int brokers = 1;
  int hosts = 2;
  int users = 8;
  int pools = 1;
  // pool-1 is dedicated, on storage that all hosts share.
  bool dedicated = false;
  // Every pool is on storage that all hosts share, and they can move desktops to one another.
  bool moves = false;
  // Calls come twice, out of order, and late.
  bool repeats = false;
  // ... up to a day late.
  bool night = false;
  // A program can switch hosts off.
  bool fence_command = false;
  uint64_t host_memory_mib = 4096;
  uint64_t desktop_memory_mib = 512;
  uint32_t max_desktops = 8;
  uint32_t spares = 2;
  uint32_t suspend_after_s = 20;
  uint32_t end_after_s = 60;
  bool guest_agent = true;
  // How long things happen and go wrong.
  absl::Duration busy = absl::Minutes(4);
  std::vector<Workload> workloads;

  bool Has(Workload workload) const;
};

Scenario MakeScenario(uint64_t seed, Sabotage sabotage);

}  // namespace werkplek::sim
