// The network that a pool's desktops have a card in: where they are made, remade and moved.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/broker/core/moving_site.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class NetworksTest : public MovingSite {
 protected:
  // Two hosts; the network is at hand on hv-a1 alone.
  void OpenWithNetwork(const std::string& network, uint32_t spares) {
    Open(0, 8, 0, [&](v1::Pool& pool) { pool.set_network(network); });
    driver_.Create(MakeHost("hv-a2"));
    driver_.AddHost("hv-a2");
    Host("hv-a1").report().add_networks("kantoor");
    driver_.Advance(absl::Seconds(2));
    UpdatePool([&](v1::Pool& pool) { pool.set_running_spares(spares); });
    driver_.Advance(absl::Seconds(10));
  }
  std::set<std::string> HostsOfReady() {
    std::set<std::string> hosts;
    for (const auto& entry : driver_.fleet().desktops) {
      if (entry.record->state() == v1::DESKTOP_STATE_READY) hosts.insert(entry.record->host());
    }
    return hosts;
  }
  std::set<std::string> NetworksOfDesktops() {
    std::set<std::string> networks;
    for (const auto& entry : driver_.fleet().desktops) networks.insert(entry.record->network());
    return networks;
  }
};

TEST_F(NetworksTest, DesktopsAreMadeWhereThePoolsNetworkIs) {
  OpenWithNetwork("kantoor", 4);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 4);
  EXPECT_THAT(HostsOfReady(), ElementsAre("hv-a1"));
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre("kantoor"));
  for (const v1::AgentCommand& command : driver_.Commands(v1::COMMAND_START)) {
    EXPECT_EQ(command.spec().network(), "kantoor");
  }
}

TEST_F(NetworksTest, APoolWithoutANetworkMakesThemAnywhereWithoutACard) {
  OpenWithNetwork("", 4);
  EXPECT_THAT(HostsOfReady(), ElementsAre("hv-a1", "hv-a2"));
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre(""));
}

TEST_F(NetworksTest, ANetworkThatComesBackIsSeenWithoutAnotherChange) {
  OpenWithNetwork("kantoor", 0);
  Host("hv-a1").report().clear_networks();
  driver_.Advance(absl::Seconds(2));
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(4));
  EXPECT_FALSE(driver_.Last(call).has_ready());
  Host("hv-a1").report().add_networks("kantoor");
  driver_.Advance(absl::Seconds(4));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
}

TEST_F(NetworksTest, AChangedNetworkRenewsSparesWhereItIsAndElsewhereReplacesThem) {
  OpenWithNetwork("", 4);
  ASSERT_THAT(HostsOfReady(), ElementsAre("hv-a1", "hv-a2"));
  UpdatePool([](v1::Pool& pool) { pool.set_network("kantoor"); });
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 4);
  EXPECT_THAT(HostsOfReady(), ElementsAre("hv-a1"));
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre("kantoor"));
  EXPECT_EQ(Pool().breaker, "");
}

TEST_F(NetworksTest, AChangedNetworkReachesWhatIsBeingMade) {
  Open(0, 8, 0, [](v1::Pool&) {});
  Host().report().add_networks("kantoor");
  driver_.Advance(absl::Seconds(2));
  Host().stuck = true;
  UpdatePool([](v1::Pool& pool) { pool.set_running_spares(2); });
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 0);
  UpdatePool([](v1::Pool& pool) { pool.set_network("kantoor"); });
  Host().stuck = false;
  driver_.Advance(absl::Minutes(1));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre("kantoor"));
}

TEST_F(NetworksTest, ANetworkThatNoHostHasCostsNoSpares) {
  OpenWithNetwork("", 4);
  UpdatePool([](v1::Pool& pool) { pool.set_network("kantor"); });
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 4);
  EXPECT_EQ(Pool().breaker, "");
}

TEST_F(NetworksTest, WhatIsKeptGetsItsPoolsNetworkAtItsNextStart) {
  Open(0, 4, 0, [](v1::Pool& pool) { pool.set_kind(v1::POOL_KIND_DEDICATED); });
  Host().report().add_networks("kantoor");
  const auto use = [&] {
    const CallId call = Come("jan");
    driver_.Advance(absl::Seconds(20));
    ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
    ASSERT_TRUE(End("jan").ok());
    driver_.Advance(absl::Seconds(2));
  };
  use();
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre(""));
  UpdatePool([](v1::Pool& pool) { pool.set_network("kantoor"); });
  driver_.Advance(absl::Seconds(2));
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre("")) << "it is off, as it was";
  use();
  EXPECT_THAT(NetworksOfDesktops(), ElementsAre("kantoor"));
  EXPECT_EQ(driver_.Commands(v1::COMMAND_START).back().spec().network(), "kantoor");
}

TEST_F(NetworksTest, ADesktopMovesOnlyToAHostThatHasItsNetwork) {
  Build(3, 0);
  UpdatePool([](v1::Pool& pool) { pool.set_network("kantoor"); });
  Host("hv-a1").report().add_networks("kantoor");
  driver_.Advance(absl::Seconds(2));
  WorkOn("hv-a1", "jan");
  const std::string desktop = driver_.DesktopOf("jan")->id();
  driver_.hold_moves = true;
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_THAT(Explained(desktop), Contains(HasSubstr("hv-a2 has not the network kantoor")));
  Host("hv-a3").report().add_networks("kantoor");
  driver_.Advance(absl::Minutes(1));
  EXPECT_EQ(TargetOf("jan"), "hv-a3");
}

}  // namespace
}  // namespace werkplek
