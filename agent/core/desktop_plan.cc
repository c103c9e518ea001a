#include "agent/core/desktop_plan.h"

namespace werkplek {
namespace {

using Action = DesktopAction;

// Columns: START, SUSPEND, RESUME, STOP, RESET, REMOVE, BEGIN_SESSION, END_SESSION, GRANT_TICKET,
// CLOSE_DISPLAY, MIGRATE; then START and RESET of a kept desktop.
constexpr int kColumns = 13;
using Row = Action[kColumns];

// The domain is of the command's generation (or there is none).
constexpr Row kSame[kDesktopConditions] = {
    // Absent: made by START or RESET. REMOVE still runs, for overlays that a crash left behind.
    {Action::kFresh, Action::kImpossible, Action::kImpossible, Action::kNothing, Action::kFresh,
     Action::kRemove, Action::kImpossible, Action::kNothing, Action::kImpossible, Action::kNothing,
     Action::kImpossible, Action::kStartKept, Action::kFresh},
    // Off: RESET never trusts a disk that may have been run.
    {Action::kStart, Action::kImpossible, Action::kImpossible, Action::kNothing, Action::kFresh,
     Action::kRemove, Action::kImpossible, Action::kEndSession, Action::kImpossible,
     Action::kCloseDisplay, Action::kImpossible, Action::kStart, Action::kFreshUnlessUsed},
    // Running.
    {Action::kNothing, Action::kSuspend, Action::kNothing, Action::kShutDown,
     Action::kFreshUnlessClean, Action::kRemove, Action::kBeginSession, Action::kEndSession,
     Action::kGrantTicket, Action::kCloseDisplay, Action::kMigrate, Action::kNothing,
     Action::kFreshUnlessUsed},
    // Suspended: nobody can be told anything before it is resumed.
    {Action::kResume, Action::kNothing, Action::kResume, Action::kWakeAndShutDown,
     Action::kFreshUnlessClean, Action::kRemove, Action::kImpossible, Action::kEndSession,
     Action::kImpossible, Action::kCloseDisplay, Action::kMigrate, Action::kResume,
     Action::kFreshUnlessUsed},
    // Saved on disk.
    {Action::kStart, Action::kNothing, Action::kStart, Action::kWakeAndShutDown,
     Action::kFreshUnlessClean, Action::kRemove, Action::kImpossible, Action::kEndSession,
     Action::kImpossible, Action::kCloseDisplay, Action::kMigrate, Action::kStart,
     Action::kFreshUnlessUsed},
};

// The domain is older than the command: only what ends or replaces it is obeyed.
constexpr Row kNewer[kDesktopConditions] = {
    // Absent.
    {Action::kFresh, Action::kImpossible, Action::kImpossible, Action::kNothing, Action::kFresh,
     Action::kRemove, Action::kImpossible, Action::kNothing, Action::kImpossible, Action::kNothing,
     Action::kImpossible, Action::kStartKept, Action::kFresh},
    // Off.
    {Action::kFresh, Action::kRefused, Action::kRefused, Action::kNothing, Action::kFresh,
     Action::kRemove, Action::kRefused, Action::kRefused, Action::kRefused, Action::kCloseDisplay,
     Action::kRefused, Action::kStartKept, Action::kFresh},
    // Running.
    {Action::kFresh, Action::kRefused, Action::kRefused, Action::kShutDown, Action::kFresh,
     Action::kRemove, Action::kRefused, Action::kRefused, Action::kRefused, Action::kCloseDisplay,
     Action::kRefused, Action::kStartKept, Action::kFresh},
    // Suspended.
    {Action::kFresh, Action::kRefused, Action::kRefused, Action::kWakeAndShutDown, Action::kFresh,
     Action::kRemove, Action::kRefused, Action::kRefused, Action::kRefused, Action::kCloseDisplay,
     Action::kRefused, Action::kStartKept, Action::kFresh},
    // Saved on disk.
    {Action::kFresh, Action::kRefused, Action::kRefused, Action::kWakeAndShutDown, Action::kFresh,
     Action::kRemove, Action::kRefused, Action::kRefused, Action::kRefused, Action::kCloseDisplay,
     Action::kRefused, Action::kStartKept, Action::kFresh},
};

// -1: not a verb for desktops.
int ColumnOf(v1::CommandVerb verb, bool kept) {
  if (kept && verb == v1::COMMAND_START) return 11;
  if (kept && verb == v1::COMMAND_RESET) return 12;
  if (verb == v1::COMMAND_MIGRATE) return 10;
  if (verb < v1::COMMAND_START || verb > v1::COMMAND_CLOSE_DISPLAY) return -1;
  return static_cast<int>(verb) - v1::COMMAND_START;
}

}  // namespace

DesktopAction PlanFor(DesktopCondition condition, GenerationOrder order, v1::CommandVerb verb,
                      bool kept) {
  const int column = ColumnOf(verb, kept);
  if (column < 0) return Action::kRefused;
  const int row = static_cast<int>(condition);
  switch (order) {
    case GenerationOrder::kOlder:
      return Action::kRefused;
    case GenerationOrder::kSame:
      return kSame[row][column];
    case GenerationOrder::kNewer:
      return kNewer[row][column];
  }
  return Action::kRefused;
}

DesktopCondition ConditionOf(DomainPower power) {
  switch (power) {
    case DomainPower::kOff:
      return DesktopCondition::kOff;
    case DomainPower::kRunning:
      return DesktopCondition::kRunning;
    case DomainPower::kSuspended:
      return DesktopCondition::kSuspended;
    case DomainPower::kSaved:
      return DesktopCondition::kSaved;
  }
  return DesktopCondition::kOff;
}

}  // namespace werkplek
