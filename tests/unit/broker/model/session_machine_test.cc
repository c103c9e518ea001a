#include "broker/model/session_machine.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace werkplek {
namespace {

using State = v1::SessionState;
using E = SessionEvent;

// Every legal edge, written down once more and by hand.
const std::map<std::pair<State, E>, State>& Legal() {
  static const auto& edges = *new std::map<std::pair<State, E>, State>{
      {{v1::SESSION_STATE_UNSPECIFIED, E::kAssign}, v1::SESSION_STATE_PENDING},
      {{v1::SESSION_STATE_PENDING, E::kConnect}, v1::SESSION_STATE_PENDING},
      {{v1::SESSION_STATE_PENDING, E::kPrepared}, v1::SESSION_STATE_READY},
      {{v1::SESSION_STATE_PENDING, E::kViewerGone}, v1::SESSION_STATE_DISCONNECTED},
      {{v1::SESSION_STATE_PENDING, E::kEnd}, v1::SESSION_STATE_ENDING},
      {{v1::SESSION_STATE_PENDING, E::kDesktopLost}, v1::SESSION_STATE_ENDED},
      {{v1::SESSION_STATE_READY, E::kConnect}, v1::SESSION_STATE_PENDING},
      {{v1::SESSION_STATE_READY, E::kViewerConnected}, v1::SESSION_STATE_ACTIVE},
      {{v1::SESSION_STATE_READY, E::kViewerGone}, v1::SESSION_STATE_DISCONNECTED},
      {{v1::SESSION_STATE_READY, E::kEnd}, v1::SESSION_STATE_ENDING},
      {{v1::SESSION_STATE_READY, E::kDesktopLost}, v1::SESSION_STATE_ENDED},
      {{v1::SESSION_STATE_ACTIVE, E::kConnect}, v1::SESSION_STATE_PENDING},
      {{v1::SESSION_STATE_ACTIVE, E::kViewerGone}, v1::SESSION_STATE_DISCONNECTED},
      {{v1::SESSION_STATE_ACTIVE, E::kEnd}, v1::SESSION_STATE_ENDING},
      {{v1::SESSION_STATE_ACTIVE, E::kDesktopLost}, v1::SESSION_STATE_ENDED},
      {{v1::SESSION_STATE_DISCONNECTED, E::kConnect}, v1::SESSION_STATE_PENDING},
      {{v1::SESSION_STATE_DISCONNECTED, E::kViewerConnected}, v1::SESSION_STATE_ACTIVE},
      {{v1::SESSION_STATE_DISCONNECTED, E::kEnd}, v1::SESSION_STATE_ENDING},
      {{v1::SESSION_STATE_DISCONNECTED, E::kDesktopLost}, v1::SESSION_STATE_ENDED},
      {{v1::SESSION_STATE_ENDING, E::kEnded}, v1::SESSION_STATE_ENDED},
      {{v1::SESSION_STATE_ENDING, E::kDesktopLost}, v1::SESSION_STATE_ENDED},
  };
  return edges;
}

TEST(SessionMachineTest, EveryCell) {
  size_t legal = 0;
  for (size_t row = 0; row < kSessionStates; ++row) {
    for (size_t column = 0; column < kSessionEvents; ++column) {
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

TEST(SessionMachineTest, StatesAndEventsOutsideTheTableAreRejected) {
  EXPECT_EQ(Next(static_cast<State>(kSessionStates), E::kEnd), std::nullopt);
  EXPECT_EQ(Next(v1::SESSION_STATE_PENDING, static_cast<E>(kSessionEvents)), std::nullopt);
  EXPECT_EQ(StateName(static_cast<State>(99)), "unknown");
}

TEST(SessionMachineTest, EveryLiveStateCanEnd) {
  for (const State state : {v1::SESSION_STATE_PENDING, v1::SESSION_STATE_READY,
                            v1::SESSION_STATE_ACTIVE, v1::SESSION_STATE_DISCONNECTED}) {
    EXPECT_EQ(Next(state, E::kEnd), v1::SESSION_STATE_ENDING);
    EXPECT_EQ(Next(state, E::kDesktopLost), v1::SESSION_STATE_ENDED);
  }
}

}  // namespace
}  // namespace werkplek
