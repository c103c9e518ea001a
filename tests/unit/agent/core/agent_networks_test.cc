// The networks of a host: what is at hand, and what desktops get of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

AgentSettings WithNetworks() {
  AgentSettings settings;
  settings.networks = {{.name = "beheer", .libvirt_network = "beheer"},
                       {.name = "gast", .libvirt_network = "vlan-12"},
                       {.name = "kantoor", .bridge = "br-kantoor", .isolated = false}};
  settings.storages = {"nfs-1"};
  return settings;
}

class AgentNetworksTest : public testing::Test {
 protected:
  AgentNetworksTest() : agent_(WithNetworks()) { agent_.networks = {"kantoor"}; }

  v1::AgentCommand With(const std::string& network, v1::CommandVerb verb = v1::COMMAND_START,
                        uint64_t generation = 1) {
    v1::AgentCommand command = agent_.Command(verb, generation);
    command.mutable_spec()->set_network(network);
    return command;
  }

  CoreHarness agent_;
};

TEST_F(AgentNetworksTest, WhatIsAtHandIsReported) {
  agent_.Begin();
  EXPECT_THAT(agent_.core.Report().networks(), ElementsAre("kantoor"));
  agent_.networks = {"beheer", "kantoor"};
  agent_.Advance(absl::Seconds(6));
  EXPECT_THAT(agent_.core.Report().networks(), ElementsAre("beheer", "kantoor"));
  agent_.networks = {};
  agent_.Advance(absl::Seconds(6));
  EXPECT_THAT(agent_.core.Report().networks(), IsEmpty());
}

TEST_F(AgentNetworksTest, AStorageThatHangsTakesNoNetworkAway) {
  agent_.storages = {"nfs-1"};
  agent_.Begin();
  agent_.answers_storages = false;
  agent_.Advance(absl::Minutes(1));
  EXPECT_THAT(agent_.core.Report().storages(), IsEmpty());
  EXPECT_THAT(agent_.core.Report().networks(), ElementsAre("kantoor"));
}

TEST_F(AgentNetworksTest, TheDesktopGetsACardInWhatTheNetworkIsHere) {
  agent_.Begin();
  agent_.Obey(With("kantoor"));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  ASSERT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  for (const Operation& operation : agent_.operations) {
    if (operation.kind != OperationKind::kCreate) continue;
    EXPECT_EQ(operation.tag.network, "kantoor");
    ASSERT_TRUE(operation.network.has_value());
    EXPECT_EQ(operation.network->bridge, "br-kantoor");
    EXPECT_FALSE(operation.network->isolated);
  }
}

TEST_F(AgentNetworksTest, WithoutANetworkItHasNoCard) {
  agent_.Begin();
  agent_.Obey(With(""));
  agent_.Advance(absl::Seconds(2));
  for (const Operation& operation : agent_.operations) {
    EXPECT_FALSE(operation.network.has_value());
  }
}

TEST_F(AgentNetworksTest, ANetworkThatIsNotAtHandIsSaid) {
  agent_.Begin();
  agent_.Obey(With("beheer"));
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_START);
  EXPECT_EQ(agent_.Desktop().error(),
            "network beheer is not at hand on this host: its agent's log says why "
            "(event=network-not-at-hand)");
  agent_.Obey(With("thuis", v1::COMMAND_RESET));
  EXPECT_EQ(agent_.Desktop().error(),
            "network thuis is not at hand on this host: name it under `networks` in its agent's "
            "configuration");
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 0u);
}

TEST_F(AgentNetworksTest, ADesktopThatIsOffStartsOnlyInItsNetwork) {
  agent_.Begin();
  agent_.Obey(With("kantoor"));
  agent_.Advance(absl::Seconds(2));
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(2));
  agent_.networks = {};
  agent_.Advance(absl::Seconds(6));
  agent_.Obey(With("kantoor"));
  EXPECT_THAT(agent_.Desktop().error(), HasSubstr("network kantoor is not at hand"));
  EXPECT_EQ(agent_.Started(OperationKind::kStart), 0u);
  agent_.networks = {"kantoor"};
  agent_.Advance(absl::Seconds(6));
  agent_.Obey(With("kantoor"));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentNetworksTest, AMoveGoesByTheNameThatLibvirtHas) {
  agent_.networks = {"gast", "kantoor"};
  agent_.storages = {"nfs-1"};
  agent_.Begin();
  for (const std::string network : {"gast", "kantoor"}) {
    v1::AgentCommand reset = With(network, v1::COMMAND_RESET);
    reset.set_desktop(network);
    reset.mutable_spec()->set_storage("nfs-1");
    agent_.Obey(reset);
    agent_.Advance(absl::Seconds(2));
    v1::AgentCommand move = agent_.MoveCommand();
    move.set_desktop(network);
    agent_.Obey(move);
  }
  EXPECT_EQ(agent_.Desktop("gast").error(),
            "network gast is not werkplek-gast in this host's libvirt; only by that name it moves");
  EXPECT_EQ(agent_.Started(OperationKind::kMigrate), 1u);
  EXPECT_EQ(agent_.host.moved.count("kantoor"), 1u);
}

TEST_F(AgentNetworksTest, ABadNameIsRefused) {
  agent_.Begin();
  agent_.Obey(With("br/0"));
  EXPECT_EQ(agent_.CountOf("refused_commands", "bad-command"), 1);
}

}  // namespace
}  // namespace werkplek
