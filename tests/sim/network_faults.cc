// Brokers that stand still, elections that tell late, sites that are cut off or lost, and links
// that clog.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

void BrokerPause(World& world) {
  BrokerProcess& broker = SomeBroker(world);
  broker.Pause();
  world.After(world.chance().Between(absl::Milliseconds(200), absl::Seconds(20)),
              [&broker] { broker.Resume(); });
}

void Elections(World& world) {
  Chance& chance = world.chance();
  for (BrokerProcess* broker : world.brokers()) {
    broker->SetNewsDelay(chance.Between(absl::ZeroDuration(), absl::Seconds(3)));
  }
  world.lease().SetOutlives(chance.Percent(40));
  // The leader believes on, until its next renewal or commit.
  if (chance.Percent(60)) world.lease().EndEarly();
  if (chance.Percent(30)) chance.Pick(world.brokers())->MistakeLeader();
}

// The clock of a leader's wall jumps; of others it would only be noticed once they lead.
void ClockJump(World& world) {
  BrokerProcess* broker = world.BrokerNamed(world.lease().Holder());
  if (broker == nullptr) return;
  const absl::Duration by = world.chance().Between(-absl::Hours(1), absl::Hours(1));
  world.Say("the wall clock of ", broker->name(), " jumps");
  broker->executor().SetWallOffset(by);
  world.After(world.chance().Between(absl::Seconds(1), absl::Seconds(12)),
              [broker] { broker->executor().SetWallOffset(absl::ZeroDuration()); });
}

// Everything is restarted, one after another: first the brokers, then the agents.
void RollingUpgrade(World& world) {
  absl::Duration at;
  for (BrokerProcess* broker : world.brokers()) {
    world.After(at, [broker] { broker->Kill(); });
    at += world.chance().Between(absl::Milliseconds(500), absl::Seconds(6));
    world.After(at, [broker] { broker->Start(); });
    at += world.chance().Between(absl::Seconds(1), absl::Seconds(5));
  }
  for (AgentProcess* agent : world.agents()) {
    world.After(at, [agent] {
      if (agent->MayFail()) agent->Kill();
    });
    at += world.chance().Between(absl::Milliseconds(200), absl::Seconds(4));
    world.After(at, [agent] { agent->Start(); });
  }
}

// One direction, or both, between two ends.
void CutForAWhile(World& world, const std::string& one, const std::string& other,
                  absl::Duration heals) {
  const uint64_t how = world.chance().Below(4);
  if (how != 0) world.network().Cut(one, other);
  if (how != 1) world.network().Cut(other, one);
  world.Say("cut: ", how != 0 ? one + ">" + other + " " : "", how != 1 ? other + ">" + one : "");
  world.BreakDisplaysSoon();
  world.After(heals, [&world, one, other] {
    world.Say("healed: ", one, "-", other);
    world.network().Heal(one, other);
    world.network().Heal(other, one);
  });
}

void StoreCut(World& world) {
  CutForAWhile(world, SomeBroker(world).name(), kStoreNode,
               world.chance().Between(absl::Milliseconds(200), absl::Seconds(15)));
}

void SiteCut(World& world) {
  const absl::Duration heals = world.chance().Between(absl::Seconds(1), absl::Seconds(40));
  const std::string site = world.chance().Pick(world.sites());
  if (world.sites().size() > 1 && world.chance().Percent(70)) CutForAWhile(world, "a", "b", heals);
  // The store, whose members see each other otherwise, is out of reach for a whole site.
  if (world.chance().Percent(40)) CutForAWhile(world, site, kStoreNode, heals);
  // One broker and one host do not reach each other.
  if (world.chance().Percent(40)) {
    CutForAWhile(world, world.chance().Pick(world.agents())->machine().name(),
                 SomeBroker(world).name(), heals);
  }
}

void SiteLoss(World& world) {
  const std::string site = world.chance().Pick(world.sites());
  world.Say("site ", site, " loses power");
  for (AgentProcess* agent : world.agents()) {
    Machine& machine = agent->machine();
    if (!world.IsIn(machine.name(), site)) continue;
    agent->CutLink();
    agent->Kill();
    machine.PowerOff();
  }
  for (BrokerProcess* broker : world.brokers()) {
    if (world.IsIn(broker->name(), site)) broker->Kill();
  }
  const absl::Duration returns = world.chance().Between(absl::Seconds(5), absl::Seconds(80));
  for (AgentProcess* agent : world.agents()) {
    if (!world.IsIn(agent->machine().name(), site)) continue;
    world.After(returns + world.chance().Between(absl::ZeroDuration(), absl::Seconds(20)), [agent] {
      agent->HealLink();
      agent->Start();
    });
  }
  for (BrokerProcess* broker : world.brokers()) {
    if (!world.IsIn(broker->name(), site)) continue;
    world.After(returns + world.chance().Between(absl::ZeroDuration(), absl::Seconds(20)),
                [broker] { broker->Start(); });
  }
}

// Swizzle-clogging: some machines are cut off one by one, and come back in another order.
void Swizzle(World& world) {
  std::vector<std::string> nodes;
  for (const std::string& node : world.network().Nodes()) {
    if (node != kStoreNode && world.chance().Percent(40)) nodes.push_back(node);
  }
  absl::Duration at;
  for (const std::string& node : nodes) {
    at += world.chance().Between(absl::ZeroDuration(), absl::Seconds(2));
    world.After(at, [&world, node] {
      world.Say("clogged: ", node);
      world.network().Clog(node);
    });
  }
  world.BreakDisplaysSoon();
  at += world.chance().Between(absl::ZeroDuration(), absl::Seconds(12));
  while (!nodes.empty()) {
    const size_t which = world.chance().Below(nodes.size());
    at += world.chance().Between(absl::ZeroDuration(), absl::Seconds(2));
    world.After(at, [&world, node = nodes[which]] {
      world.Say("free: ", node);
      world.network().Unclog(node);
    });
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(which));
  }
}

}  // namespace

void PlanNetworkFaults(World& world) {
  PlanFault(world, Workload::kElections, 5, 35, Elections);
  PlanFault(world, Workload::kBrokerPause, 5, 40, BrokerPause);
  PlanFault(world, Workload::kStoreCut, 5, 35, StoreCut);
  PlanFault(world, Workload::kSiteCut, 10, 70, SiteCut);
  PlanFault(world, Workload::kSiteLoss, 20, 120, SiteLoss);
  PlanFault(world, Workload::kSwizzle, 8, 50, Swizzle);
  PlanFault(world, Workload::kClockJump, 10, 60, ClockJump);
  PlanFault(world, Workload::kRollingUpgrade, 20, 100, RollingUpgrade);
}

}  // namespace werkplek::sim
