#include "broker/core/homes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "broker/core/rehearsal.h"
#include "broker/placement/placement.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::HasSubstr;

v1::Resource Entitlement(const std::string& name, const std::string& group, const std::string& user,
                         const std::string& home, bool required = false) {
  v1::Resource resource;
  resource.set_name(name);
  v1::Entitlement& entitlement = *resource.mutable_entitlement();
  entitlement.set_pool("kantoor");
  entitlement.set_group(group);
  entitlement.set_user(user);
  entitlement.set_home_site(home);
  if (required) entitlement.set_home_site_rule(v1::HOME_SITE_RULE_REQUIRED);
  return resource;
}

// Two sites with a host each; the pool is at home in a.
class HomesTest : public Municipality {
 protected:
  void Build(uint32_t min, uint32_t max, uint32_t spares) {
    driver_.Create(MakeSite("a"));
    driver_.Create(MakeSite("b"));
    driver_.Create(MakeHost("hv-a1", "a"));
    driver_.Create(MakeHost("hv-b1", "b"));
    driver_.Create(MakeImage("tiny"));
    v1::Resource pool = MakePool("kantoor", min, max, spares);
    pool.mutable_pool()->set_home_site("a");
    driver_.Create(pool);
    driver_.Create(MakeEntitlement("kantoor"));
    driver_.AddHost("hv-a1");
    driver_.AddHost("hv-b1");
    driver_.Advance(absl::Seconds(5));
  }
  std::string HostOf(const std::string& user) {
    const v1::Desktop* desktop = driver_.DesktopOf(user);
    return desktop == nullptr ? "" : desktop->host();
  }
  Home HomeOfUser(const std::string& user) {
    v1::SignIn person;
    person.set_user(user);
    person.add_groups("cn=staff,ou=groups,dc=example");
    person.add_groups("cn=noord,ou=groups,dc=example");
    return HomeOf(driver_.fleet(), person, "kantoor",
                  driver_.fleet().pools.Find("kantoor")->pool());
  }
};

TEST_F(HomesTest, AnEntitlementForTheUserGoesBeforeGroupsAndGroupsBeforeThePool) {
  Build(0, 4, 0);
  EXPECT_EQ(HomeText(HomeOfUser("jan")), "home site a, preferred (the pool)");
  driver_.Create(Entitlement("z-noord", "noord", "", "b"));
  EXPECT_EQ(HomeText(HomeOfUser("jan")), "home site b, preferred (entitlement z-noord)");
  // The first by name of several for groups; one without a home says nothing.
  driver_.Create(Entitlement("a-staff", "staff", "", ""));
  driver_.Create(Entitlement("b-staff", "staff", "", "a", true));
  EXPECT_EQ(HomeText(HomeOfUser("jan")), "home site a, required (entitlement b-staff)");
  driver_.Create(Entitlement("zz-jan", "", "jan", "b", true));
  EXPECT_EQ(HomeText(HomeOfUser("jan")), "home site b, required (entitlement zz-jan)");
  EXPECT_EQ(HomeText(HomeOfUser("els")), "home site a, required (entitlement b-staff)");
}

TEST_F(HomesTest, ASpareAtHomeIsPreferredAndAnotherIsBetterThanAWait) {
  Build(2, 6, 2);
  driver_.Create(Entitlement("jan", "", "jan", "b"));
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(5));
  EXPECT_TRUE(driver_.Last(call).has_ready());
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_THAT(driver_.SessionOf("jan")->explanation().steps(),
              Contains("home site b, preferred (entitlement jan): none of them stands there"));
  // Now some stand in b as well.
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_MAINTENANCE);
  UpdatePool([](v1::Pool& changed) { changed.set_running_spares(4); });
  driver_.Advance(absl::Seconds(5));
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_OPEN);
  driver_.Create(Entitlement("piet", "", "piet", "b"));
  Come("piet");
  Come("els");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(HostOf("piet"), "hv-b1");
  EXPECT_EQ(HostOf("els"), "hv-a1");
}

TEST_F(HomesTest, ARequiredHomeGetsItsDesktopThoughOtherSitesHaveSparesEnough) {
  Build(4, 6, 2);
  driver_.Create(Entitlement("jan", "", "jan", "b", true));
  for (const auto& entry : driver_.fleet().desktops) EXPECT_EQ(entry.record->host(), "hv-a1");
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(5));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_EQ(HostOf("jan"), "hv-b1");
}

TEST_F(HomesTest, WhoWaitsForARequiredHomeHoldsNobodyUpAndIsToldWhy) {
  Build(2, 6, 2);
  driver_.Create(Entitlement("jan", "", "jan", "b", true));
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-b1", v1::SCHEDULABILITY_MAINTENANCE);
  const CallId jan = Come("jan");
  const CallId els = Come("els");
  driver_.Advance(absl::Seconds(5));
  EXPECT_TRUE(driver_.Last(els).has_ready());
  ASSERT_TRUE(driver_.Last(jan).has_queued()) << driver_.Last(jan).ShortDebugString();
  const v1::Explanation why = driver_.Last(jan).queued().explanation();
  EXPECT_THAT(why.steps(), Contains("home site b, required (entitlement jan)"));
  ASSERT_EQ(why.hosts_size(), 2);
  EXPECT_EQ(why.hosts(0).rejected_by(), kRuleHomeSite);
  EXPECT_EQ(why.hosts(1).rejected_by(), kRuleHostOpen);
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-b1", v1::SCHEDULABILITY_OPEN);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(HostOf("jan"), "hv-b1");
}

TEST_F(HomesTest, ARequiredHomeNeverGoesBeyondThePoolsMaximum) {
  Build(2, 2, 2);
  driver_.Create(Entitlement("jan", "", "jan", "b", true));
  Come("jan");
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(HostOf("jan"), "");
  EXPECT_EQ(driver_.fleet().desktops.size(), 2u);
}

TEST_F(HomesTest, TheRehearsalKnowsOfHomes) {
  Build(4, 8, 2);
  driver_.Create(Entitlement("jan", "", "jan", "a", true));
  Come("jan");
  driver_.Advance(absl::Seconds(1));
  Come("els");
  driver_.Advance(absl::Seconds(5));
  const Rehearsal rehearsal = RehearseLoss(driver_.fleet(), {}, "a");
  ASSERT_EQ(rehearsal.people.size(), 2u);
  EXPECT_EQ(rehearsal.people[0].user(), "jan");
  EXPECT_EQ(rehearsal.people[0].host(), "");
  EXPECT_THAT(rehearsal.people[0].reason(), HasSubstr("the home site a is required"));
  EXPECT_EQ(rehearsal.people[1].host(), "hv-b1");
}

}  // namespace
}  // namespace werkplek
