// What the directory says later of people who are signed in already.
#pragma once

#include "broker/core/turn.h"

namespace werkplek {

// New groups and roles count from now on, in every sign-in of the person. Somebody who is gone is
// signed out everywhere and the screens close; the sessions go by their pools' disconnect policy.
void HandlePersonChecked(Turn& turn, const PersonChecked& event);

}  // namespace werkplek
