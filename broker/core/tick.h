// What time alone brings about.
#pragma once

#include "broker/core/turn.h"

namespace werkplek {

void HandleTick(Turn& turn);

}  // namespace werkplek
