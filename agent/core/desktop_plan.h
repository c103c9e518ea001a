// What a command means for a desktop in a given state: one table, every cell decided and tested.
#pragma once

#include "agent/hypervisor/hypervisor.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

enum class DesktopCondition { kAbsent, kOff, kRunning, kSuspended, kSaved };
inline constexpr int kDesktopConditions = 5;

// How the command's generation stands to the domain's.
enum class GenerationOrder { kOlder, kSame, kNewer };

enum class DesktopAction {
  // Already so.
  kNothing,
  // A new overlay and a new domain on it.
  kFresh,
  // As kFresh, but nothing when the overlay of this generation was never used.
  kFreshUnlessClean,
  // As kFresh, but a kept disk that was used is never replaced within its generation.
  kFreshUnlessUsed,
  // The disk that is there, in a new domain.
  kStartKept,
  kStart,
  kSuspend,
  kResume,
  // Wake it, then shut it down.
  kWakeAndShutDown,
  kShutDown,
  kRemove,
  kBeginSession,
  kEndSession,
  kGrantTicket,
  kCloseDisplay,
  // To another host, live.
  kMigrate,
  // Not possible in this state; told in the report's `error`.
  kImpossible,
  // Refused and counted: an older generation, or one that is not here.
  kRefused,
};

// `verb` is one of the verbs for desktops (START to CLOSE_DISPLAY, MIGRATE); any other is kRefused.
// `kept` counts for START and RESET: the disk is its owner's.
DesktopAction PlanFor(DesktopCondition condition, GenerationOrder order, v1::CommandVerb verb,
                      bool kept);

DesktopCondition ConditionOf(DomainPower power);

}  // namespace werkplek
