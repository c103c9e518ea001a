// What administrators ask of single desktops.
#pragma once

#include <string>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"

namespace werkplek {

// Gives the user a desktop of a dedicated pool before the first use: a spare, or a new one.
CallAnswer AssignDesktop(Turn& turn, const CallRequested& event,
                         const v1::AssignDesktopRequest& request, const std::string& actor);

// Makes a desktop fresh, or removes it: the only way in which what somebody keeps is given up.
CallAnswer ResetDesktopCall(Turn& turn, const CallRequested& event,
                            const v1::ResetDesktopRequest& request, const std::string& actor);

}  // namespace werkplek
