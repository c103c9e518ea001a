// What must never happen (docs/architecture.md): one function for each, over what was truly seen.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "broker/model/fleet.h"
#include "tests/sim/history.h"

namespace werkplek::sim {

struct Violation {
  // "S1", ..., "audit", "grace", "liveness", "move", "I11".
  std::string rule;
  std::string what;
};

// What a checker may know beside the history: the truth about people.
struct Truth {
  // The groups of each person in the directory (DNs).
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
};

using Violations = std::vector<Violation>;

// A desktop's generation serves at most one user.
Violations CheckOneUserOfAGeneration(const History& history);
// A user has at most one live session in a pool.
Violations CheckOneSessionInAPool(const History& history);
// No two hosts run one desktop of a fenced pool at the same time.
Violations CheckOneCopyOfAFencedDesktop(const History& history);
// No host carries more than its memory, nor is committed beyond its limits.
Violations CheckHostLimits(const History& history);
// What was acknowledged is durable, and stays.
Violations CheckNothingAcknowledgedIsLost(const History& history);
// Desktops and sessions move along the tables' edges only, and generations only grow.
Violations CheckTransitions(const History& history);
// Moves: committed before they begin, over when the hypervisors say so, and the same for whoever
// sits before it; nothing that serves, or may arrive, is removed, and no disk under what runs.
Violations CheckMoves(const History& history);
// A call that comes again gets the same answer, and is done once (I11).
Violations CheckRepeats(const History& history);
// An agent never obeys an epoch below the highest it was told.
Violations CheckEpochs(const History& history);
// No host is judged down that has spoken to the leader lately, or could not speak to it yet.
Violations CheckGrace(const History& history);
// A session has a person behind it with password, code and entitlement.
Violations CheckProofOfPerson(const History& history, const Truth& truth);
// A desktop that was used reaches nobody else.
Violations CheckCleanness(const History& history);
// A code is accepted once.
Violations CheckCodesOnce(const History& history);
// A ticket opens one viewer's display, in time, its own.
Violations CheckTickets(const History& history);
// Every new session and sign-in is in the audit trail, by the same commit.
Violations CheckAudit(const History& history);
// After faults heal, all is well within the bound.
Violations CheckLiveness(const History& history);

// All of them.
Violations CheckAll(const History& history, const Truth& truth);

}  // namespace werkplek::sim
