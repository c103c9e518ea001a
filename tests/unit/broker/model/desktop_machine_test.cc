#include "broker/model/desktop_machine.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

namespace werkplek {
namespace {

using State = v1::DesktopState;
using E = DesktopEvent;

// Every legal edge, written down once more and by hand.
const std::map<std::pair<State, E>, State>& Legal() {
  static const auto& edges = *new std::map<std::pair<State, E>, State>{
      {{v1::DESKTOP_STATE_ABSENT, E::kPlace}, v1::DESKTOP_STATE_PROVISIONING},
      {{v1::DESKTOP_STATE_PROVISIONING, E::kProved}, v1::DESKTOP_STATE_READY},
      {{v1::DESKTOP_STATE_PROVISIONING, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_PROVISIONING, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_PROVISIONING, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_OFF, E::kStart}, v1::DESKTOP_STATE_STARTING},
      {{v1::DESKTOP_STATE_OFF, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_OFF, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_OFF, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_STARTING, E::kProved}, v1::DESKTOP_STATE_READY},
      {{v1::DESKTOP_STATE_STARTING, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_STARTING, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_STARTING, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_STARTING, E::kRuns}, v1::DESKTOP_STATE_READY},
      {{v1::DESKTOP_STATE_STARTING, E::kPark}, v1::DESKTOP_STATE_OFF},
      {{v1::DESKTOP_STATE_READY, E::kPark}, v1::DESKTOP_STATE_OFF},
      {{v1::DESKTOP_STATE_ASSIGNED, E::kPark}, v1::DESKTOP_STATE_OFF},
      {{v1::DESKTOP_STATE_LOST, E::kRuns}, v1::DESKTOP_STATE_READY},
      {{v1::DESKTOP_STATE_LOST, E::kFenced}, v1::DESKTOP_STATE_OFF},
      {{v1::DESKTOP_STATE_READY, E::kStart}, v1::DESKTOP_STATE_STARTING},
      {{v1::DESKTOP_STATE_READY, E::kAssign}, v1::DESKTOP_STATE_ASSIGNED},
      {{v1::DESKTOP_STATE_READY, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_READY, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_READY, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_ASSIGNED, E::kRelease}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_ASSIGNED, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_DIRTY, E::kReset}, v1::DESKTOP_STATE_RESETTING},
      {{v1::DESKTOP_STATE_DIRTY, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_DIRTY, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_DIRTY, E::kGiveUp}, v1::DESKTOP_STATE_ERROR},
      {{v1::DESKTOP_STATE_RESETTING, E::kProved}, v1::DESKTOP_STATE_READY},
      {{v1::DESKTOP_STATE_RESETTING, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_RESETTING, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_RESETTING, E::kHostLost}, v1::DESKTOP_STATE_LOST},
      {{v1::DESKTOP_STATE_STOPPING, E::kGone}, v1::DESKTOP_STATE_ABSENT},
      {{v1::DESKTOP_STATE_LOST, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_LOST, E::kGone}, v1::DESKTOP_STATE_ABSENT},
      {{v1::DESKTOP_STATE_ERROR, E::kSpoil}, v1::DESKTOP_STATE_DIRTY},
      {{v1::DESKTOP_STATE_ERROR, E::kRemove}, v1::DESKTOP_STATE_STOPPING},
      {{v1::DESKTOP_STATE_ERROR, E::kHostLost}, v1::DESKTOP_STATE_LOST},
  };
  return edges;
}

TEST(DesktopMachineTest, EveryCell) {
  size_t legal = 0;
  for (size_t row = 0; row < kDesktopStates; ++row) {
    for (size_t column = 0; column < kDesktopEvents; ++column) {
      const auto state = static_cast<State>(row);
      const auto event = static_cast<E>(column);
      const auto expected = Legal().find({state, event});
      const auto next = Next(state, event);
      if (expected == Legal().end()) {
        EXPECT_EQ(next, std::nullopt) << StateName(state) << " by " << EventName(event);
      } else {
        ++legal;
        EXPECT_EQ(next, expected->second) << StateName(state) << " by " << EventName(event);
      }
    }
  }
  EXPECT_EQ(legal, Legal().size());
}

TEST(DesktopMachineTest, StatesAndEventsOutsideTheTableAreRejected) {
  EXPECT_EQ(Next(static_cast<State>(kDesktopStates), E::kPlace), std::nullopt);
  EXPECT_EQ(Next(static_cast<State>(-1), E::kPlace), std::nullopt);
  EXPECT_EQ(Next(v1::DESKTOP_STATE_ABSENT, static_cast<E>(kDesktopEvents)), std::nullopt);
  EXPECT_EQ(StateName(static_cast<State>(99)), "unknown");
}

std::set<State> Reachable(State from) {
  std::set<State> seen = {from};
  std::set<State> open = {from};
  while (!open.empty()) {
    const State state = *open.begin();
    open.erase(open.begin());
    for (size_t column = 0; column < kDesktopEvents; ++column) {
      const auto next = Next(state, static_cast<E>(column));
      if (next && seen.insert(*next).second) open.insert(*next);
    }
  }
  return seen;
}

// What happens to kept desktops only.
bool IsOfKeptOnes(E event) { return event == E::kRuns || event == E::kPark || event == E::kFenced; }

TEST(DesktopMachineTest, AUsedDesktopBecomesASpareOnlyThroughResetting) {
  // Without Resetting, and without having been made anew, no spare is ever reached; the desktops
  // that their owners keep are no spares.
  std::set<State> seen = {v1::DESKTOP_STATE_ASSIGNED};
  std::set<State> open = seen;
  while (!open.empty()) {
    const State state = *open.begin();
    open.erase(open.begin());
    for (size_t column = 0; column < kDesktopEvents; ++column) {
      if (IsOfKeptOnes(static_cast<E>(column))) continue;
      const auto next = Next(state, static_cast<E>(column));
      if (!next || *next == v1::DESKTOP_STATE_RESETTING || *next == v1::DESKTOP_STATE_ABSENT) {
        continue;
      }
      if (seen.insert(*next).second) open.insert(*next);
    }
  }
  EXPECT_EQ(seen.count(v1::DESKTOP_STATE_READY), 0u);
  EXPECT_EQ(seen.count(v1::DESKTOP_STATE_STARTING), 0u);
}

TEST(DesktopMachineTest, NothingByItselfTakesAKeptDiskAway) {
  // Without an administrator (spoil, remove) and without a first making, what is kept goes round
  // between running, off and lost.
  std::set<State> seen = {v1::DESKTOP_STATE_OFF};
  std::set<State> open = seen;
  while (!open.empty()) {
    const State state = *open.begin();
    open.erase(open.begin());
    for (const E event : {E::kStart, E::kRuns, E::kAssign, E::kPark, E::kHostLost, E::kFenced}) {
      const auto next = Next(state, event);
      if (next && seen.insert(*next).second) open.insert(*next);
    }
  }
  EXPECT_EQ(seen, (std::set<State>{v1::DESKTOP_STATE_OFF, v1::DESKTOP_STATE_STARTING,
                                   v1::DESKTOP_STATE_READY, v1::DESKTOP_STATE_ASSIGNED,
                                   v1::DESKTOP_STATE_LOST}));
}

TEST(DesktopMachineTest, NoStateIsATrap) {
  for (size_t row = 0; row < kDesktopStates; ++row) {
    const auto state = static_cast<State>(row);
    const auto seen = Reachable(state);
    EXPECT_EQ(seen.count(v1::DESKTOP_STATE_READY), 1u) << StateName(state);
    EXPECT_EQ(seen.count(v1::DESKTOP_STATE_ABSENT), 1u) << StateName(state);
  }
}

}  // namespace
}  // namespace werkplek
