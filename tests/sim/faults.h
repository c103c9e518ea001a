// What goes wrong in a scenario, and when. All of it ends with the busy time.
#pragma once

namespace werkplek::sim {

class World;

// Plans all faults and administrative work of the scenario.
void PlanFaults(World& world);

}  // namespace werkplek::sim
