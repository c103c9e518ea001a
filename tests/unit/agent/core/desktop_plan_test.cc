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
    row += Letter(PlanFor(condition, order, static_cast<v1::CommandVerb>(verb)));
  }
  return row;
}

// Columns: START SUSPEND RESUME STOP RESET REMOVE BEGIN END GRANT CLOSE.
TEST(DesktopPlanTest, EveryCellOfTheSameGeneration) {
  EXPECT_EQ(Row(DesktopCondition::kAbsent, GenerationOrder::kSame), "F!!.FR!.!.");
  EXPECT_EQ(Row(DesktopCondition::kOff, GenerationOrder::kSame), "S!!.FR!E!C");
  EXPECT_EQ(Row(DesktopCondition::kRunning, GenerationOrder::kSame), ".Z.DfRBEGC");
  EXPECT_EQ(Row(DesktopCondition::kSuspended, GenerationOrder::kSame), "W.WdfR!E!C");
  EXPECT_EQ(Row(DesktopCondition::kSaved, GenerationOrder::kSame), "S.SdfR!E!C");
}

TEST(DesktopPlanTest, EveryCellOfANewerGeneration) {
  EXPECT_EQ(Row(DesktopCondition::kAbsent, GenerationOrder::kNewer), "F!!.FR!.!.");
  EXPECT_EQ(Row(DesktopCondition::kOff, GenerationOrder::kNewer), "Fxx.FRxxxC");
  EXPECT_EQ(Row(DesktopCondition::kRunning, GenerationOrder::kNewer), "FxxDFRxxxC");
  EXPECT_EQ(Row(DesktopCondition::kSuspended, GenerationOrder::kNewer), "FxxdFRxxxC");
  EXPECT_EQ(Row(DesktopCondition::kSaved, GenerationOrder::kNewer), "FxxdFRxxxC");
}

TEST(DesktopPlanTest, AnOlderGenerationIsRefusedWhateverItAsks) {
  for (const DesktopCondition condition : kConditions) {
    EXPECT_EQ(Row(condition, GenerationOrder::kOlder), "xxxxxxxxxx");
  }
}

TEST(DesktopPlanTest, VerbsThatAreNotForDesktopsAreRefused) {
  for (const DesktopCondition condition : kConditions) {
    for (const int verb : {-1, 0, 11, 12, 13, 14, 1000}) {
      EXPECT_EQ(PlanFor(condition, GenerationOrder::kSame, static_cast<v1::CommandVerb>(verb)),
                DesktopAction::kRefused)
          << verb;
    }
  }
}

}  // namespace
}  // namespace werkplek
