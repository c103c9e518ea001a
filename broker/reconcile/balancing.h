// Which desktops move to which host of their site: to make hosts even, to empty one, or to empty
// those that a site can spare at night. Pure; the same picture gives the same plan, in whatever
// order its hosts and desktops come. Nothing moves between sites.
//
// A plan never makes things worse: to make hosts even, a desktop moves only between hosts whose
// loads are `margin` apart, never to a host that would then carry more than the first one does, and
// only when that helps by `gain`. So a plan that was carried out leaves nothing to plan, and no
// desktop goes back and forth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/reconcile/move_limits.h"

namespace werkplek {

struct BalanceHost {
  std::string name;
  std::string site;
  // Up, with a stream, and open for work; others give, but take nothing.
  bool open = false;
  // Up, with a stream: commands reach it.
  bool reachable = false;
  // Other hosts can send desktops here.
  bool receives = false;
  // Libvirt locks disks there.
  bool locks = false;
  // Emptied for the night: takes nothing.
  bool rests = false;
  std::vector<std::string> storages;
  std::vector<std::string> networks;
  uint64_t memory_limit_mib = 0;
  // As it will be when the moves that are under way are over.
  uint64_t memory_committed_mib = 0;
  uint32_t desktops = 0;
  // 0: bounded by memory alone.
  uint32_t max_desktops = 0;
  uint32_t starts = 0;
  uint32_t max_starts = 0;
  uint32_t cpus = 0;
  // Shares, 0 to 1.
  double cpu_used = 0;
  double memory_pressure = 0;
};

// How much a move would be felt. Who feels least moves first.
enum class Felt {
  // A spare, or kept and nobody's now.
  kByNobody,
  // Its person has gone.
  kLater,
  // A display is open; the move closes it.
  kAtOnce,
};

struct BalanceDesktop {
  std::string id;
  std::string host;
  // Why it cannot be moved now, for people; empty: it can.
  std::string stays;
  std::string storage;
  bool needs_lock = false;
  // The network that its card is in; empty: it has none.
  std::string network;
  Felt felt = Felt::kByNobody;
  // A suspended one uses no processor.
  bool runs = false;
  uint64_t memory_mib = 0;
  uint32_t vcpus = 0;
  // Where its last move failed: taken only when no other host can take it.
  std::string avoids;
  // Moved not long ago: balancing leaves it in peace.
  bool settled = true;
  // Clean and nobody's: another one elsewhere is as good.
  bool spare = false;
};

struct BalancePicture {
  std::vector<BalanceHost> hosts;
  // All that stand on these hosts.
  std::vector<BalanceDesktop> desktops;
};

struct PlannedMove {
  std::string desktop;
  std::string from;
  std::string to;
  // For people.
  std::string reason;
};

struct Waiting {
  std::string desktop;
  std::string reason;
};

struct BalancePlan {
  // In the order in which they are to be done; each desktop once.
  std::vector<PlannedMove> moves;
  std::vector<Waiting> waits;
  // Why there are no more moves, for people.
  std::string reason;
};

// The load of a host, 0 (idle) to 1: half of it and more is committed memory, the rest processors
// or memory pressure (whichever is worse), and starts in flight.
double LoadOf(const BalanceHost& host);

// Makes the open hosts of the site even. At most `most` moves. `at_once`: desktops whose display is
// open may move as well.
BalancePlan PlanRebalance(const BalancePicture& picture, const std::string& site,
                          const MoveLimits& limits, bool at_once, size_t most);

// Empties the host: what moves where, and what waits for what.
BalancePlan PlanDrain(const BalancePicture& picture, const std::string& host);

// Where the desktop could go from its host, the least loaded first choice; empty: nowhere, and
// `why` says so for people.
std::string PlanMove(const BalancePicture& picture, const std::string& desktop, std::string& why);

struct ConsolidationPlan {
  // Hosts that take nothing for the night, in the order of their names: empty ones, and those that
  // are being emptied.
  std::vector<std::string> resting;
  std::vector<PlannedMove> moves;
  // Spares that cannot move, to be removed; elsewhere there is room for others.
  std::vector<std::string> remade;
};

// Hosts of the site that can be emptied: all on them can move without closing a display, the others
// have room, and `spare_hosts` of those may fail without more being committed than the rest can
// hold. At least one host, and `spare_hosts` more, stay. Hosts that rest already go first.
ConsolidationPlan PlanConsolidation(const BalancePicture& picture, const std::string& site,
                                    uint32_t spare_hosts);

}  // namespace werkplek
