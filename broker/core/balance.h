// When desktops are moved, and which: hosts that are drained, sites that an administrator or the
// policy wants even, hosts that the night can spare. The plans are made in broker/reconcile; here
// they are made from the fleet, and carried out a few moves at a time.
#pragma once

#include <string>

#include "broker/core/tokens.h"
#include "broker/core/turn.h"
#include "werkplek/v1/admin.pb.h"

namespace werkplek {

// Looks at drains once a second, at the policies every ten, and begins what may begin.
void Balance(Turn& turn);

// Where the desktop could move to in its site; empty: nowhere, and `why` says so for people.
std::string MoveTargetOf(const Turn& turn, const v1::Desktop& desktop, std::string& why);

// Whether the host is emptied for the night.
bool HostRests(const Turn& turn, const std::string& host);

// Plans the moves that make a site even; without `dry_run` they are begun, a few at a time.
// NOT_FOUND: no such site.
CallAnswer Rebalance(Turn& turn, const CallRequested& event, const v1::RebalanceRequest& request,
                     const std::string& actor);

}  // namespace werkplek
