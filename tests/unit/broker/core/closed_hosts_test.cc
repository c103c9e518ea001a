// Hosts that fail, are in maintenance, or are dead with something left on them, beside good ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/broker/core/two_sites.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::IsEmpty;

class ClosedHostsTest : public TwoSites {
 protected:
  void SetWork(const std::string& site, v1::Schedulability work) {
    for (const auto& [name, host] : driver_.hosts) {
      if (name[3] == site[0]) SetSchedulability(v1::RESOURCE_KIND_HOST, name, work);
    }
  }
};

TEST_F(ClosedHostsTest, ASiteLostInMaintenanceComesBackByItself) {
  Build(2, 2);
  AddPool("kantoor", 0, 4, 20, 2, "a");
  SetWork("a", v1::SCHEDULABILITY_MAINTENANCE);
  Silence("a");
  driver_.Advance(absl::Seconds(15));
  ASSERT_EQ(Loss("a"), "lost");
  Silence("a", false);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("site-return"), Contains("broker site:a ok"));
}

TEST_F(ClosedHostsTest, WhatIsLeftBeingStoppedOnDeadHostsBrakesNoSite) {
  Build(3, 0);
  AddPool("kantoor", 0, 6, 20, 6);
  driver_.Advance(absl::Seconds(20));
  // Drained, and dead before the order to remove reached them.
  for (const char* name : {"hv-a2", "hv-a3"}) {
    Host(name).stuck = true;
    SetSchedulability(v1::RESOURCE_KIND_HOST, name, v1::SCHEDULABILITY_DRAINING);
  }
  driver_.Advance(absl::Seconds(3));
  ASSERT_GT(driver_.Desktops(v1::DESKTOP_STATE_STOPPING), 0);
  for (const char* name : {"hv-a2", "hv-a3"}) Host(name).silent = true;
  // The next leader judges them anew.
  driver_.Restart();
  driver_.Advance(absl::Minutes(2));
  ASSERT_GT(driver_.Desktops(v1::DESKTOP_STATE_STOPPING), 0);
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("site-loss"), IsEmpty());
}

// Nothing is given up while the breaker is open: the bad ones must not have all its probes.
class ProbesTest : public ClosedHostsTest, public testing::WithParamInterface<int> {};

TEST_P(ProbesTest, GoToWhatHasFailedLeast) {
  // Other ids, and with them another order.
  for (int i = 0; i < GetParam(); ++i) driver_.SignIn(absl::StrCat("user-", i));
  Build(2, 0);
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_MAINTENANCE);
  v1::Resource pool = MakePool("kantoor", 0, 8, 0);
  pool.mutable_pool()->set_breaker_failures(3);
  pool.mutable_pool()->set_max_failures(2);
  driver_.Create(pool);
  driver_.Create(MakeEntitlement("kantoor"));
  driver_.Advance(absl::Seconds(3));
  const std::string jan = driver_.SignIn("jan");
  driver_.Connect(jan, "kantoor");
  driver_.Advance(absl::Seconds(10));
  ASSERT_NE(driver_.DesktopOf("jan"), nullptr);
  const std::string desktop = driver_.DesktopOf("jan")->id();
  ASSERT_EQ(driver_.DesktopOf("jan")->host(), "hv-a2");
  // The good host is full from now on, and the other one fails.
  v1::UpdateResourceRequest full;
  *full.mutable_resource() = *driver_.fleet().hosts.Find("hv-a2");
  full.mutable_resource()->mutable_host()->set_max_desktops(1);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), full).ok());
  Host("hv-a1").start_error = "no space left";
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_OPEN);
  UpdatePool([](v1::Pool& changed) { changed.set_running_spares(4); });
  driver_.Advance(absl::Minutes(1));
  ASSERT_FALSE(driver_.fleet().pool_soft.Find("kantoor")->breaker.empty());
  v1::EndSessionRequest end;
  end.set_session(driver_.SessionOf("jan")->id());
  ASSERT_TRUE(driver_.Call(jan, end).ok());
  driver_.Advance(absl::Minutes(2));
  const v1::Desktop* fresh = driver_.fleet().desktops.Find(desktop);
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(fresh->state(), v1::DESKTOP_STATE_READY);
}

INSTANTIATE_TEST_SUITE_P(InAnyOrder, ProbesTest, testing::Range(0, 8));

}  // namespace
}  // namespace werkplek
