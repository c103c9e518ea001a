// Signing in and out.
#pragma once

#include "broker/core/turn.h"

namespace werkplek {

// Judges password and code together and answers the call.
void HandleSignIn(Turn& turn, const SignInChecked& event);

// A call with the token was served.
void HandleSignInUsed(Turn& turn, const SignInUsed& event);

// Counts as use, at most once a minute.
void TouchSignIn(Turn& turn, const std::string& id);

// Ends the sign-in: its token is dead. Calls that wait on it fail. What it opened stays open.
void EndSignIn(Turn& turn, const std::string& id);

// The sign-in's time may have come.
void SignInTimerFired(Turn& turn, const std::string& id);

}  // namespace werkplek
