// What a broker that does not lead needs for a sign-in: the enrolment from the leader, and the
// leader's decision.
#pragma once

#include "broker/node/broker_node.h"
#include "broker/peer/leader_link.h"

namespace werkplek {

// The link outlives what it is asked with these.
LeaderFunctions AskOverLink(LeaderLink* link);

}  // namespace werkplek
