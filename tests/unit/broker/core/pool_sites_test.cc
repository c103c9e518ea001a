// Pools whose sites are changed while they have desktops.
#include "broker/model/pool_sites.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

class PoolSitesTest : public Municipality {};

TEST_F(PoolSitesTest, APoolLeavesASiteThatIsTakenFromIt) {
  Open(4, 8, 2);
  driver_.Create(MakeSite("b"));
  driver_.Create(MakeHost("hv-b1", "b"));
  driver_.AddHost("hv-b1");
  Come("jan");
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(driver_.DesktopOf("jan")->host(), "hv-a1");
  const std::string session = driver_.SessionOf("jan")->id();
  Host("hv-b1").stuck = true;
  UpdatePool([](v1::Pool& pool) { pool.add_sites("b"); });
  // Spares in the other site are not given out, and go.
  const CallId piet = Come("piet");
  EXPECT_TRUE(driver_.Last(piet).has_starting()) << driver_.Last(piet).ShortDebugString();
  Host("hv-b1").stuck = false;
  driver_.Advance(absl::Seconds(10));
  EXPECT_TRUE(driver_.Last(piet).has_ready());
  EXPECT_EQ(driver_.DesktopOf("piet")->host(), "hv-b1");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), session);
  ASSERT_EQ(Host().report().desktops_size(), 1);
  EXPECT_EQ(Host().report().desktops(0).desktop(), driver_.DesktopOf("jan")->id());
  EXPECT_EQ(driver_.fleet().desktops.size(), 4u);
  // Nor is that one made fresh there.
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Host().report().desktops_size(), 0);
}

TEST_F(PoolSitesTest, WhatIsKeptStaysInASiteThatIsTakenFromItsPool) {
  Open(0, 8, 1, [](v1::Pool& pool) { pool.set_kind(v1::POOL_KIND_DEDICATED); });
  driver_.Create(MakeSite("b"));
  driver_.Create(MakeHost("hv-b1", "b"));
  driver_.AddHost("hv-b1");
  Come("jan");
  driver_.Advance(absl::Seconds(5));
  const std::string own = driver_.DesktopOf("jan")->id();
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(2));
  UpdatePool([](v1::Pool& pool) { pool.add_sites("b"); });
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Desktop(own).host(), "hv-a1");
  for (const auto& entry : driver_.fleet().desktops) {
    EXPECT_EQ(entry.record->host(), entry.key == own ? "hv-a1" : "hv-b1");
  }
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.Last(again).ready().desktop(), own);
}

}  // namespace
}  // namespace werkplek
