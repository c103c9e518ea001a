// A desktop as the broker wants it beside the desktop as its host reports it: one named finding,
// from which the core acts. Pure.
#pragma once

#include <string>

#include "werkplek/v1/agent.pb.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

enum class Finding {
  // As wanted, or the agent is at it.
  kNothing,
  // The command that the state asks for is to be (re)sent: START, RESET, RESUME, SUSPEND, REMOVE.
  kCommand,
  // The wanted generation runs, proved clean.
  kProved,
  // The wanted generation of a kept desktop runs.
  kRuns,
  // The start failed; `why` says how.
  kStartFailed,
  // What nobody has by the broker's records was used, or has a session: somebody has it, whom the
  // broker does not know. Its store went back in time.
  kInUse,
  // The same of a disk that is kept: it may be all that there is of somebody's work.
  kSomebodys,
  // A spare is off or gone; it needs a start, or a reset.
  kSpareOff,
  kSpareGone,
  // The desktop of a session is off or gone.
  kSessionOff,
  kSessionGone,
  // It was to be removed, and nothing of it is there.
  kRemoved,
  // The host is back; what is there is not what the broker counts on.
  kReturned,
  // The host has a newer generation than the broker knows.
  kAhead,
};

struct Difference {
  Finding finding = Finding::kNothing;
  v1::CommandVerb verb = v1::COMMAND_UNSPECIFIED;
  std::string why;
};

// `report` is nullptr when the complete report of the host does not hold the desktop. `image` is
// the image that the desktop is to stand on; nullptr: it is no longer declared. `kind` is its
// pool's: in a dedicated pool a disk is first made by RESET, and START never makes one.
Difference Compare(const v1::Desktop& desktop, const v1::DesktopReport* report,
                   const v1::Image* image, v1::PoolKind kind = v1::POOL_KIND_FLOATING);

// Why `proof` does not prove that the desktop's generation began clean on the image; empty: it
// does. `desktop.proof` is the last proof that was accepted.
std::string ProofFault(const v1::Desktop& desktop, const v1::ProofOfCleanness& proof,
                       const v1::Image& image);

}  // namespace werkplek
