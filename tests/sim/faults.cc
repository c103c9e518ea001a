#include "tests/sim/faults.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

// Calls `act` again and again, with a random pause in between, while the busy time lasts.
void Again(World& world, absl::Duration least, absl::Duration most, std::function<void()> act) {
  world.After(world.chance().Between(least, most), [&world, least, most, act] {
    if (!world.busy()) return;
    act();
    Again(world, least, most, act);
  });
}

}  // namespace

void PlanFault(World& world, Workload workload, int least_s, int most_s, void (*act)(World&)) {
  if (!world.scenario().Has(workload)) return;
  Again(world, absl::Seconds(least_s), absl::Seconds(most_s), [&world, act] { act(world); });
}

BrokerProcess& SomeBroker(World& world) {
  // Mostly the one that leads.
  BrokerProcess* leader = world.BrokerNamed(world.lease().Holder());
  if (leader != nullptr && world.chance().Percent(70)) return *leader;
  return *world.chance().Pick(world.brokers());
}

namespace {

AgentProcess& SomeAgent(World& world) { return *world.chance().Pick(world.agents()); }

std::string SomePool(World& world) {
  return absl::StrCat("pool-", world.chance().Below(world.scenario().pools));
}

void HostLoss(World& world) {
  const std::string host = SomeAgent(world).machine().name();
  world.LosePower(host, world.chance().Between(absl::Seconds(2), absl::Seconds(50)));
}

void AgentRestart(World& world) {
  AgentProcess& agent = SomeAgent(world);
  if (!agent.MayFail()) return;
  agent.Kill();
  // What must be fenced is to be fenced in time.
  const absl::Duration longest = absl::Seconds(world.scenario().dedicated ? 11 : 15);
  world.After(world.chance().Between(absl::Milliseconds(50), longest), [&agent] { agent.Start(); });
}

void BrokerRestart(World& world) {
  BrokerProcess& broker = SomeBroker(world);
  broker.Kill();
  world.After(world.chance().Between(absl::Milliseconds(20), absl::Seconds(8)),
              [&broker] { broker.Start(); });
}

void SlowDirectory(World& world) {
  FakeDirectory& directory = world.chance().Pick(world.brokers())->directory();
  if (world.chance().Percent(40)) {
    directory.SetOutage(world.chance().Percent(70) ? DirectoryOutcome::kUnavailable
                                                   : DirectoryOutcome::kOverloaded);
  }
  directory.SetDelay(world.chance().Between(absl::Milliseconds(100), absl::Seconds(6)));
  world.After(world.chance().Between(absl::Seconds(2), absl::Seconds(15)), [&directory] {
    directory.SetOutage(DirectoryOutcome::kOk);
    directory.SetDelay(absl::Milliseconds(2));
  });
}

void BadStore(World& world) {
  const int percent = world.chance().Between(5, 60);
  world.store().commit_fault = [&world, percent] {
    if (!world.busy() || !world.chance().Percent(percent)) return CommitFault::kNone;
    return static_cast<CommitFault>(1 + world.chance().Below(kCommitFaults - 1));
  };
  world.store().load_fault = [&world] {
    return world.busy() && world.chance().Percent(20) ? absl::UnavailableError("the disk is away")
                                                      : absl::OkStatus();
  };
  world.After(world.chance().Between(absl::Milliseconds(200), absl::Seconds(6)), [&world] {
    world.store().commit_fault = [] { return CommitFault::kNone; };
    world.store().load_fault = [] { return absl::OkStatus(); };
  });
}

void BadLinks(World& world) {
  AgentProcess& agent = SomeAgent(world);
  const absl::Duration heals = world.chance().Between(absl::Milliseconds(100), absl::Seconds(25));
  if (world.chance().Percent(50)) {
    agent.StallLink(heals);
  } else {
    agent.CutLink();
    world.After(heals, [&agent] { agent.HealLink(); });
  }
  world.SetLoss(world.chance().Between(0, 25));
  world.After(world.chance().Between(absl::Seconds(1), absl::Seconds(10)),
              [&world] { world.SetLoss(0); });
}

void Reopen(World& world, const std::string& host) {
  if (!world.IsDrained(host)) world.admin().SetHostOpen(host, v1::SCHEDULABILITY_OPEN);
}

void Drain(World& world) {
  Admin& admin = world.admin();
  const auto how =
      world.chance().Percent(60) ? v1::SCHEDULABILITY_DRAINING : v1::SCHEDULABILITY_MAINTENANCE;
  const absl::Duration for_long = world.chance().Between(absl::Seconds(5), absl::Seconds(40));
  if (world.chance().Percent(70)) {
    const std::string host = SomeAgent(world).machine().name();
    admin.SetHostOpen(host, how);
    world.After(for_long, [&world, host] { Reopen(world, host); });
  } else {
    const std::string pool = SomePool(world);
    admin.SetPoolOpen(pool, how);
    world.After(for_long, [&admin, pool] { admin.SetPoolOpen(pool, v1::SCHEDULABILITY_OPEN); });
  }
}

void Rebalance(World& world) { world.admin().Rebalance(world.chance().Pick(world.sites())); }

// A host is emptied while people work, and whatever happens to it then happens midway.
void Evacuation(World& world) {
  Admin& admin = world.admin();
  AgentProcess& agent = SomeAgent(world);
  const std::string host = agent.machine().name();
  admin.SetHostOpen(host, v1::SCHEDULABILITY_DRAINING);
  world.After(world.chance().Between(absl::Seconds(25), absl::Seconds(60)),
              [&world, host] { Reopen(world, host); });
  const absl::Duration soon = world.chance().Between(absl::Milliseconds(500), absl::Seconds(8));
  switch (world.chance().Below(5)) {
    case 0:
      return world.After(soon, [&world, host] {
        world.LosePower(host, world.chance().Between(absl::Seconds(2), absl::Seconds(40)));
      });
    case 1:
      return world.After(soon, [&world, &agent] {
        if (!agent.MayFail()) return;
        agent.Kill();
        world.After(world.chance().Between(absl::Milliseconds(50), absl::Seconds(8)),
                    [&agent] { agent.Start(); });
      });
    case 2:
      return world.After(soon, [&world, &agent] {
        agent.CutLink();
        world.After(world.chance().Between(absl::Seconds(1), absl::Seconds(25)),
                    [&agent] { agent.HealLink(); });
      });
    case 3:
      return world.After(soon, [&world] {
        BrokerProcess& broker = SomeBroker(world);
        broker.Kill();
        world.After(world.chance().Between(absl::Milliseconds(20), absl::Seconds(8)),
                    [&broker] { broker.Start(); });
      });
    default:
      return;
  }
}

// A host on which somebody's own desktop runs is out of the leader's reach. An agent that stands
// still or is dead fences nothing; systemd has it back before the leader counts on it.
void Isolation(World& world) {
  std::vector<AgentProcess*> with;
  for (AgentProcess* agent : world.agents()) {
    for (const std::string& desktop : agent->machine().hypervisor().AliveHere()) {
      const bool dedicated = desktop.rfind("pool-1-", 0) == 0;
      if (dedicated && (with.empty() || with.back() != agent)) with.push_back(agent);
    }
  }
  if (with.empty()) return;
  Chance& chance = world.chance();
  AgentProcess& agent = *chance.Pick(with);
  const std::string host = agent.machine().name();
  world.Say("isolation of ", host);
  switch (agent.MayFail() ? chance.Below(4) : 2 + chance.Below(2)) {
    case 0:
      agent.Pause();
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(11)),
                         [&agent] { agent.Resume(); });
    case 1:
      agent.Kill();
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(11)),
                         [&agent] { agent.Start(); });
    case 2:
      world.network().Clog(host);
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(45)),
                         [&world, host] { world.network().Unclog(host); });
    default:
      agent.CutLink();
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(45)),
                         [&agent] { agent.HealLink(); });
  }
}

void PoolResize(World& world) {
  Chance& chance = world.chance();
  const uint32_t most = chance.Between(1, 14);
  world.admin().ResizePool(SomePool(world), chance.Between(0, 3), most, chance.Between(0, 4));
}

void HelpDesk(World& world) {
  Chance& chance = world.chance();
  Admin& admin = world.admin();
  const std::string entitlement = chance.Percent(50) ? "staff-pool-0" : "team-pool-1";
  User* user = chance.Pick(world.users());
  switch (chance.Below(6)) {
    case 0:
      return admin.EndSomeSession();
    case 1:
      return admin.ResetSomeDesktop(false);
    case 2:
      return admin.RevokeSignInsOf(user->name());
    case 3:
      admin.TakeEntitlement(entitlement);
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(20)),
                         [&admin, entitlement] { admin.GiveEntitlement(entitlement); });
    case 4:
      return admin.EnrolAnew(user->name(), [&world, user](const std::string& uri) {
        const Picture fleet = world.picture();
        const v1::TokenEnrolment* token =
            fleet == nullptr ? nullptr : fleet->tokens.Find(user->name());
        user->NewToken(uri, token == nullptr ? "unknown" : token->seed_id());
      });
    default: {
      AgentProcess& agent = SomeAgent(world);
      world.Say("images of ", agent.machine().name(), " break");
      agent.machine().SetImageBroken(true);
      return world.After(chance.Between(absl::Seconds(3), absl::Seconds(20)),
                         [&agent] { agent.machine().SetImageBroken(false); });
    }
  }
}

}  // namespace

void PlanFaults(World& world) {
  PlanNetworkFaults(world);
  const auto plan = [&world](Workload workload, int least_s, int most_s, void (*act)(World&)) {
    PlanFault(world, workload, least_s, most_s, act);
  };
  plan(Workload::kHostLoss, 10, 70, HostLoss);
  plan(Workload::kAgentRestart, 3, 35, AgentRestart);
  plan(Workload::kBrokerRestart, 3, 35, BrokerRestart);
  plan(Workload::kSlowDirectory, 8, 40, SlowDirectory);
  plan(Workload::kBadStore, 4, 30, BadStore);
  plan(Workload::kBadLinks, 2, 25, BadLinks);
  plan(Workload::kDrain, 10, 50, Drain);
  plan(Workload::kPoolResize, 5, 30, PoolResize);
  plan(Workload::kRebalance, 5, 30, Rebalance);
  plan(Workload::kIsolation, 5, 30, Isolation);
  plan(Workload::kEvacuation, 15, 60, Evacuation);
  plan(Workload::kHelpDesk, 3, 15, HelpDesk);
}

}  // namespace werkplek::sim
