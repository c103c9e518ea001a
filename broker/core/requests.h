// Calls: who may, whether it was answered already, and to whom it goes.
#pragma once

#include "broker/core/turn.h"

namespace werkplek {

void HandleCall(Turn& turn, const CallRequested& event);

}  // namespace werkplek
