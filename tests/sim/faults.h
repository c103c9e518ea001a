// What goes wrong in a scenario, and when. All of it ends with the busy time.
#pragma once

#include "tests/sim/scenario.h"

namespace werkplek::sim {

class BrokerProcess;
class World;

// Plans all faults and administrative work of the scenario.
void PlanFaults(World& world);

// Those of brokers, sites and the network between them.
void PlanNetworkFaults(World& world);
// Calls `act` again and again while the busy time lasts, if the scenario has the workload.
void PlanFault(World& world, Workload workload, int least_s, int most_s, void (*act)(World&));
BrokerProcess& SomeBroker(World& world);

}  // namespace werkplek::sim
