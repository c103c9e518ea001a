#include "agent/core/desktop_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>

namespace werkplek {
namespace {

constexpr DesktopCondition kConditions[] = {DesktopCondition::kAbsent, DesktopCondition::kOff,
                                            DesktopCondition::kRunning,
                                            DesktopCondition::kSuspended, DesktopCondition::kSaved};

char Letter(DesktopAction action) {
  switch (action) {
    case DesktopAction::kNothing:
      return '.';
    case DesktopAction::kFresh:
      return 'F';
    case DesktopAction::kFreshUnlessClean:
      return 'f';
    case DesktopAction::kFreshUnlessUsed:
      return 'u';
    case DesktopAction::kStartKept:
      return 'K';
    case DesktopAction::kMigrate:
      return 'M';
    case DesktopAction::kStart:
      return 'S';
    case DesktopAction::kSuspend:
      return 'Z';
    case DesktopAction::kResume:
      return 'W';
    case DesktopAction::kWakeAndShutDown:
      return 'd';
    case DesktopAction::kShutDown:
      return 'D';
    case DesktopAction::kRemove:
      return 'R';
    case DesktopAction::kBeginSession:
      return 'B';
    case DesktopAction::kEndSession:
      return 'E';
    case DesktopAction::kGrantTicket:
      return 'G';
    case DesktopAction::kCloseDisplay:
      return 'C';
    case DesktopAction::kImpossible:
      return '!';
    case DesktopAction::kRefused:
      return 'x';
  }
  return '?';
}

std::string Row(DesktopCondition condition, GenerationOrder order) {
  std::string row;
  for (int verb = v1::COMMAND_START; verb <= v1::COMMAND_CLOSE_DISPLAY; ++verb) {
    row += Letter(PlanFor(condition, order, static_cast<v1::CommandVerb>(verb), false));
  }
  row += Letter(PlanFor(condition, order, v1::COMMAND_MIGRATE, false));
  row += ' ';
  for (const v1::CommandVerb verb : {v1::COMMAND_START, v1::COMMAND_RESET}) {
    row += Letter(PlanFor(condition, order, verb, true));
  }
  return row;
}

// Columns: START SUSPEND RESUME STOP RESET REMOVE BEGIN END GRANT CLOSE MIGRATE; then START and
// RESET of a kept desktop.
TEST(DesktopPlanTest, EveryCellOfTheSameGeneration) {
  EXPECT_EQ(Row(DesktopCondition::kAbsent, GenerationOrder::kSame), "F!!.FR!.!.! KF");
  EXPECT_EQ(Row(DesktopCondition::kOff, GenerationOrder::kSame), "S!!.FR!E!C! Su");
  EXPECT_EQ(Row(DesktopCondition::kRunning, GenerationOrder::kSame), ".Z.DfRBEGCM .u");
  EXPECT_EQ(Row(DesktopCondition::kSuspended, GenerationOrder::kSame), "W.WdfR!E!CM Wu");
  EXPECT_EQ(Row(DesktopCondition::kSaved, GenerationOrder::kSame), "S.SdfR!E!CM Su");
}

TEST(DesktopPlanTest, EveryCellOfANewerGeneration) {
  EXPECT_EQ(Row(DesktopCondition::kAbsent, GenerationOrder::kNewer), "F!!.FR!.!.! KF");
  EXPECT_EQ(Row(DesktopCondition::kOff, GenerationOrder::kNewer), "Fxx.FRxxxCx KF");
  EXPECT_EQ(Row(DesktopCondition::kRunning, GenerationOrder::kNewer), "FxxDFRxxxCx KF");
  EXPECT_EQ(Row(DesktopCondition::kSuspended, GenerationOrder::kNewer), "FxxdFRxxxCx KF");
  EXPECT_EQ(Row(DesktopCondition::kSaved, GenerationOrder::kNewer), "FxxdFRxxxCx KF");
}

TEST(DesktopPlanTest, AnOlderGenerationIsRefusedWhateverItAsks) {
  for (const DesktopCondition condition : kConditions) {
    EXPECT_EQ(Row(condition, GenerationOrder::kOlder), "xxxxxxxxxxx xx");
  }
}

TEST(DesktopPlanTest, VerbsThatAreNotForDesktopsAreRefused) {
  for (const DesktopCondition condition : kConditions) {
    for (const int verb : {-1, 0, 11, 12, 13, 15, 1000}) {
      EXPECT_EQ(
          PlanFor(condition, GenerationOrder::kSame, static_cast<v1::CommandVerb>(verb), false),
          DesktopAction::kRefused)
          << verb;
    }
  }
}

}  // namespace
}  // namespace werkplek
