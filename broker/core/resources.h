// What admins declare: created, updated, deleted, opened and drained; and the help desk's reach
// into desktops and sessions.
#pragma once

#include <string>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"

namespace werkplek {

CallAnswer CreateResource(Turn& turn, const CallRequested& event,
                          const v1::CreateResourceRequest& request, const std::string& actor);
CallAnswer UpdateResource(Turn& turn, const CallRequested& event,
                          const v1::UpdateResourceRequest& request, const std::string& actor);
CallAnswer DeleteResource(Turn& turn, const CallRequested& event,
                          const v1::DeleteResourceRequest& request, const std::string& actor);
CallAnswer SetSchedulability(Turn& turn, const CallRequested& event,
                             const v1::SetSchedulabilityRequest& request, const std::string& actor);

CallAnswer EndAnySession(Turn& turn, const CallRequested& event,
                         const v1::EndAnySessionRequest& request, const std::string& actor);

}  // namespace werkplek
