// State machines as tables: one row per state, one column per event, an empty cell is illegal.
#pragma once

#include <array>
#include <cstddef>
#include <optional>

namespace werkplek {

template <typename State, size_t kStates, size_t kEvents>
using TransitionTable = std::array<std::array<std::optional<State>, kEvents>, kStates>;

}  // namespace werkplek
