#include "broker/core/sites.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/placement/placement.h"
#include "tests/unit/broker/core/two_sites.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SitesTest : public TwoSites {};

TEST_F(SitesTest, ALostSiteIsOneEventAndItsPeopleGetDesktopsElsewhere) {
  Build(2, 2);
  AddPool("kantoor", 0, 6, 20, 2, "a");
  for (const char* user : {"jan", "els", "piet"}) Come(user);
  driver_.Advance(absl::Seconds(5));
  for (const char* user : {"jan", "els", "piet"}) ASSERT_EQ(SiteOf(user), "a");
  Silence("a");
  driver_.Advance(absl::Seconds(9));
  EXPECT_EQ(Loss("a"), "");
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Loss("a"), "lost");
  EXPECT_THAT(Audited("site-loss"), ElementsAre("broker site:a lost"));
  EXPECT_THAT(Audited("host-down"), IsEmpty());
  EXPECT_EQ(driver_.fleet().site_losses.Find("a")->reason(), "2 of 2 hosts silent for 10s");
  for (const char* user : {"jan", "els", "piet"}) {
    EXPECT_EQ(driver_.SessionOf(user), nullptr);
    const CallId call = Come(user);
    driver_.Advance(absl::Seconds(3));
    EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
    EXPECT_EQ(SiteOf(user), "b");
  }
}

TEST_F(SitesTest, TheLimitsOfALossAreThoseOfTheConfiguration) {
  BrokerSettings careful;
  careful.site_loss.brake_share = 0.4;
  driver_ = Driver(careful);
  Build(2, 2);
  AddPool("kantoor", 0, 2, 20, 2, "a");
  Silence("a");
  driver_.Advance(absl::Seconds(12));
  EXPECT_EQ(Loss("a"), "braked");
  EXPECT_EQ(driver_.fleet().site_losses.Find("a")->reason(),
            "2 of 2 hosts silent for 10s, but 2 of all 4 hosts are gone, more than 40 %");
  BrokerSettings hasty;
  hasty.site_loss.lost_share = 0.5;
  hasty.site_loss.fewest_hosts = 1;
  driver_ = Driver(hasty);
  Build(2, 2);
  AddPool("kantoor", 0, 2, 20, 2, "a");
  driver_.hosts.at("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(12));
  EXPECT_EQ(Loss("a"), "lost");
}

TEST_F(SitesTest, SessionsOfTheOtherSiteAreUntouched) {
  Build(2, 2);
  AddPool("kantoor", 0, 2, 20, 2, "b");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  Look("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  Silence("a");
  driver_.Advance(absl::Seconds(30));
  EXPECT_EQ(Loss("a"), "lost");
  ASSERT_NE(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(driver_.SessionOf("jan")->id(), session);
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
}

TEST_F(SitesTest, HostsThatGoOneByOneAreNoSiteLoss) {
  Build(2, 2);
  AddPool("kantoor", 0, 4, 20, 2);
  Host("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(20));
  EXPECT_THAT(Audited("host-down"), ElementsAre("broker host:hv-a1 silent"));
  Host("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("host-down"),
              ElementsAre("broker host:hv-a1 silent", "broker host:hv-a2 silent"));
}

TEST_F(SitesTest, AHostWaitsForOthersThatAreSilentToo) {
  Build(2, 2);
  AddPool("kantoor", 0, 4, 20, 2);
  Host("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(5));
  Host("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(7));
  // The first is down; the second is only suspect.
  EXPECT_THAT(Audited("host-down"), IsEmpty());
  driver_.Advance(absl::Seconds(5));
  EXPECT_THAT(Audited("site-loss"), ElementsAre("broker site:a lost"));
}

TEST_F(SitesTest, TheBrakeHoldsUntilAnOperatorConfirms) {
  Build(2, 1);
  AddPool("kantoor", 0, 4, 20, 1, "a");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_EQ(SiteOf("jan"), "a");
  const std::string desktop = driver_.DesktopOf("jan")->id();
  Silence("a");
  driver_.Advance(absl::Minutes(5));
  EXPECT_EQ(Loss("a"), "braked");
  EXPECT_THAT(Audited("site-loss"), ElementsAre("broker site:a braked"));
  EXPECT_EQ(At("a", v1::DESKTOP_STATE_LOST), 0);
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  // The person is told why; somebody new is served where there is room.
  const CallId held = Come("jan");
  EXPECT_EQ(driver_.Last(held).refused().rule(), "site-braked");
  EXPECT_THAT(driver_.Last(held).refused().reasons(0),
              AllOf(HasSubstr("site a"), HasSubstr("2 of all 3 hosts"), HasSubstr("60 %")));
  const CallId fresh = Come("els");
  driver_.Advance(absl::Seconds(5));
  EXPECT_TRUE(driver_.Last(fresh).has_ready()) << driver_.Last(fresh).ShortDebugString();

  EXPECT_EQ(ConfirmLoss("a", "").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ConfirmLoss("b").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ConfirmLoss("z").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(ConfirmLoss("a").ok());
  EXPECT_EQ(Loss("a"), "lost");
  EXPECT_EQ(driver_.fleet().site_losses.Find("a")->confirmed_by(), "admin:beheer");
  EXPECT_THAT(Audited("site-loss"), Contains("admin:beheer site:a ok"));
  EXPECT_EQ(Desktop(desktop).state(), v1::DESKTOP_STATE_LOST);
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(5));
  EXPECT_TRUE(driver_.Last(again).has_ready()) << driver_.Last(again).ShortDebugString();
  EXPECT_EQ(SiteOf("jan"), "b");
}

TEST_F(SitesTest, TheBrakeHoldsWhateverIsSaidOfTheSilentHostsWork) {
  for (const auto work : {v1::SCHEDULABILITY_MAINTENANCE, v1::SCHEDULABILITY_DRAINING}) {
    driver_ = Driver();
    Build(2, 1);
    AddPool("kantoor", 0, 4, 20, 1, "a");
    Come("jan");
    driver_.Advance(absl::Seconds(3));
    ASSERT_EQ(SiteOf("jan"), "a");
    const std::string session = driver_.SessionOf("jan")->id();
    Silence("a");
    driver_.Advance(absl::Seconds(15));
    ASSERT_EQ(Loss("a"), "braked");
    for (const char* host : {"hv-a1", "hv-a2"}) {
      SetSchedulability(v1::RESOURCE_KIND_HOST, host, work);
    }
    driver_.Advance(absl::Minutes(1));
    EXPECT_EQ(Loss("a"), "braked");
    EXPECT_THAT(Audited("site-loss"), ElementsAre("broker site:a braked"));
    EXPECT_THAT(Audited("host-down"), IsEmpty());
    ASSERT_NE(driver_.SessionOf("jan"), nullptr);
    Silence("a", false);
    driver_.Advance(absl::Seconds(2));
    EXPECT_EQ(Loss("a"), "");
    EXPECT_EQ(driver_.SessionOf("jan")->id(), session);
  }
}

TEST_F(SitesTest, HostsThatWereEmptiedAndSwitchedOffAreNotMissed) {
  Build(3, 1);
  for (const char* host : {"hv-a2", "hv-a3"}) {
    SetSchedulability(v1::RESOURCE_KIND_HOST, host, v1::SCHEDULABILITY_MAINTENANCE);
  }
  AddPool("kantoor", 0, 4, 20, 1);
  for (const char* host : {"hv-a2", "hv-a3"}) Host(host).silent = true;
  Host("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Loss("a"), "") << "one of the two that count";
}

TEST_F(SitesTest, TheBrakeIsReleasedWhenTheHostsAnswerAgain) {
  Build(2, 1);
  AddPool("kantoor", 0, 4, 20, 1, "a");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  const std::string session = driver_.SessionOf("jan")->id();
  Silence("a");
  driver_.Advance(absl::Seconds(15));
  ASSERT_EQ(Loss("a"), "braked");
  Silence("a", false);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("site-loss"), ElementsAre("broker site:a braked", "broker site:a released"));
  ASSERT_NE(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(driver_.SessionOf("jan")->id(), session);
}

TEST_F(SitesTest, ANewLeaderCountsTheGraceAnew) {
  Build(2, 2);
  AddPool("kantoor", 0, 4, 20, 2, "a");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  Silence("a");
  driver_.Advance(absl::Seconds(9));
  driver_.Restart();
  driver_.Advance(absl::Seconds(9));
  EXPECT_EQ(Loss("a"), "");
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  driver_.Advance(absl::Seconds(3));
  // Hosts that this leader never heard count by the desktops that stand on them.
  EXPECT_EQ(Loss("a"), "lost");
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
}

TEST_F(SitesTest, ALossAndABrakeOutliveTheLeader) {
  Build(2, 1);
  AddPool("kantoor", 0, 4, 20, 1, "a");
  Silence("a");
  driver_.Advance(absl::Seconds(15));
  ASSERT_EQ(Loss("a"), "braked");
  driver_.Restart();
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Loss("a"), "braked");
  EXPECT_EQ(Audited("site-loss").size(), 1u);
  ASSERT_TRUE(ConfirmLoss("a").ok());
  driver_.Restart();
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Loss("a"), "lost");
  EXPECT_EQ(At("a", v1::DESKTOP_STATE_READY), 0);
}

TEST_F(SitesTest, AReturningSiteIsInUseAgainAndItsOldGenerationsAreStopped) {
  Build(2, 2);
  AddPool("kantoor", 0, 4, 20, 2, "a");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  const v1::Desktop old = *driver_.DesktopOf("jan");
  Silence("a");
  driver_.Advance(absl::Seconds(12));
  ASSERT_EQ(Loss("a"), "lost");
  Come("jan");
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(SiteOf("jan"), "b");
  Silence("a", false);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("site-return"), ElementsAre("broker site:a ok"));
  EXPECT_EQ(SiteOf("jan"), "b");
  const v1::DesktopReport* there = Host(old.host()).Find(old.id());
  if (there != nullptr) {
    EXPECT_GT(there->generation(), old.generation());
  }
}

TEST_F(SitesTest, AReturningSiteWaitsForAnAdministratorWhenItMust) {
  Build(2, 2, v1::SITE_RETURN_BY_ADMIN);
  AddPool("kantoor", 0, 4, 20, 2, "a");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  Silence("a");
  driver_.Advance(absl::Seconds(12));
  ASSERT_EQ(Loss("a"), "lost");
  EXPECT_EQ(Readmit("a").code(), absl::StatusCode::kFailedPrecondition);
  Silence("a", false);
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Loss("a"), "returned");
  // What came back is stopped and nothing new is begun there, though it is the home site.
  for (const char* host : {"hv-a1", "hv-a2"}) EXPECT_EQ(Host(host).report().desktops_size(), 0);
  Come("els");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(SiteOf("els"), "b");
  EXPECT_EQ(Readmit("z").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Readmit("a").ok());
  EXPECT_EQ(Loss("a"), "");
  EXPECT_THAT(Audited("site-readmit"), ElementsAre("admin:beheer site:a ok"));
  for (int i = 0; i < 4; ++i) Come(absl::StrCat("u", i));
  driver_.Advance(absl::Seconds(5));
  EXPECT_GT(At("a", v1::DESKTOP_STATE_ASSIGNED) + At("a", v1::DESKTOP_STATE_READY), 0);
}

TEST_F(SitesTest, TheMoreImportantPoolIsServedFirst) {
  Build(2, 1);
  v1::UpdateResourceRequest narrow;
  *narrow.mutable_resource() = *driver_.fleet().hosts.Find("hv-b1");
  narrow.mutable_resource()->mutable_host()->set_max_desktops(3);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), narrow).ok());
  AddPool("archief", 1, 0, 20, 0, "a");
  AddPool("balie", 9, 0, 20, 0, "a");
  const auto connect = [&](const std::string& user, const std::string& pool) {
    return driver_.Connect(driver_.SignIn(user), pool);
  };
  for (int i = 0; i < 3; ++i) {
    connect(absl::StrCat("arch", i), "archief");
    connect(absl::StrCat("bal", i), "balie");
  }
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(At("a", v1::DESKTOP_STATE_ASSIGNED), 6);
  Silence("a");
  driver_.Advance(absl::Seconds(12));
  ASSERT_EQ(Loss("a"), "braked");
  ASSERT_TRUE(ConfirmLoss("a").ok());
  Host("hv-b1").stuck = true;
  std::vector<CallId> low, high;
  for (int i = 0; i < 3; ++i) low.push_back(connect(absl::StrCat("arch", i), "archief"));
  for (int i = 0; i < 3; ++i) high.push_back(connect(absl::StrCat("bal", i), "balie"));
  // The room that the first took before the others came stays theirs; what comes free goes by
  // priority.
  v1::SetSchedulabilityRequest drain;
  drain.set_kind(v1::RESOURCE_KIND_HOST);
  drain.set_name("hv-b1");
  drain.set_schedulability(v1::SCHEDULABILITY_DRAINING);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), drain).ok());
  Host("hv-b1").stuck = false;
  driver_.Advance(absl::Seconds(5));
  drain.set_schedulability(v1::SCHEDULABILITY_OPEN);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), drain).ok());
  driver_.Advance(absl::Seconds(5));
  for (const CallId call : high) {
    EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  }
  for (const CallId call : low) {
    const v1::ConnectUpdate update = driver_.Last(call);
    ASSERT_TRUE(update.has_queued()) << update.ShortDebugString();
    EXPECT_THAT(update.queued().explanation().steps(),
                Contains(HasSubstr("site a is lost: 2 hosts silent; confirmed: power is out")));
  }
  EXPECT_EQ(driver_.Last(low[0]).queued().position(), 1u);
  EXPECT_EQ(driver_.Last(low[2]).queued().position(), 3u);
  // Who is refused in the end is told of the loss, too.
  driver_.Advance(absl::Minutes(6));
  EXPECT_EQ(driver_.Last(low[0]).refused().rule(), "deadline");
  EXPECT_THAT(driver_.Last(low[0]).refused().reasons(), Contains(HasSubstr("site a is lost")));
}

TEST_F(SitesTest, StartsAfterALossStayWithinTheLimits) {
  Build(2, 2);
  v1::UpdateResourceRequest limit;
  *limit.mutable_resource() = *driver_.fleet().sites.Find("b");
  limit.mutable_resource()->mutable_site()->set_max_starts_in_flight(2);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), limit).ok());
  AddPool("kantoor", 0, 0, 20, 0, "a");
  for (int i = 0; i < 6; ++i) Come(absl::StrCat("u", i));
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(At("a", v1::DESKTOP_STATE_ASSIGNED), 6);
  Silence("a");
  driver_.Advance(absl::Seconds(12));
  Host("hv-b1").stuck = Host("hv-b2").stuck = true;
  for (int i = 0; i < 6; ++i) Come(absl::StrCat("u", i));
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(At("b", v1::DESKTOP_STATE_PROVISIONING), 2);
}

TEST_F(SitesTest, ALargeLossIsSpreadOverTicksButNobodyWaitsForIt) {
  Build(8, 8);
  AddPool("kantoor", 0, 300, 900, 1, "a");
  driver_.Advance(absl::Seconds(40));
  ASSERT_GE(At("a", v1::DESKTOP_STATE_READY), 250);
  Come("jan");
  driver_.Advance(absl::Seconds(2));
  size_t most = 0;
  driver_.check = [&](const Event&, const Decision& decision) {
    most = std::max<size_t>(
        most, std::count_if(decision.changes.begin(), decision.changes.end(), [](const auto& c) {
          v1::Desktop desktop;
          return c.table() == kDesktopTable && desktop.ParseFromString(c.value()) &&
                 desktop.state() == v1::DESKTOP_STATE_LOST;
        }));
  };
  Silence("a");
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(Loss("a"), "lost");
  EXPECT_LE(most, 200u);
  EXPECT_GT(most, 50u);
  EXPECT_EQ(At("a", v1::DESKTOP_STATE_READY), 0);
}

TEST_F(SitesTest, ASiteCanBeDrainedAndKeptInMaintenance) {
  Build(1, 1);
  AddPool("kantoor", 0, 2, 20, 2, "a");
  ASSERT_EQ(At("a", v1::DESKTOP_STATE_READY), 2);
  SetSchedulability(v1::RESOURCE_KIND_SITE, "a", v1::SCHEDULABILITY_MAINTENANCE);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(At("a", v1::DESKTOP_STATE_READY), 2);
  Come("jan");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(SiteOf("jan"), "b");
  SetSchedulability(v1::RESOURCE_KIND_SITE, "a", v1::SCHEDULABILITY_DRAINING);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Host("hv-a1").report().desktops_size(), 0);
  SetSchedulability(v1::RESOURCE_KIND_SITE, "b", v1::SCHEDULABILITY_MAINTENANCE);
  // Spares there are not given out either; the verdicts name the rule.
  const CallId call = Come("els");
  driver_.Advance(absl::Seconds(1));
  ASSERT_TRUE(driver_.Last(call).has_queued()) << driver_.Last(call).ShortDebugString();
  const v1::ConnectUpdate queued = driver_.Last(call);
  for (const v1::HostVerdict& host : queued.queued().explanation().hosts()) {
    EXPECT_EQ(host.rejected_by(), kRuleSiteOpen);
  }
  SetSchedulability(v1::RESOURCE_KIND_SITE, "a", v1::SCHEDULABILITY_OPEN);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(SiteOf("els"), "a");
}

TEST_F(SitesTest, SitesAreListedWithWhatStandsThere) {
  Build(2, 1);
  AddPool("kantoor", 0, 3, 20, 3, "a");
  Come("jan");
  Host("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(30));
  const auto sites = View({driver_.fleet(), {}, driver_.now}, v1::ListSitesRequest());
  ASSERT_TRUE(sites.ok());
  ASSERT_EQ(sites->sites_size(), 2);
  EXPECT_EQ(sites->sites(0).site(), "a");
  EXPECT_EQ(sites->sites(0).hosts(), 2u);
  EXPECT_EQ(sites->sites(0).hosts_up(), 1u);
  EXPECT_EQ(sites->sites(0).sessions() + sites->sites(1).sessions(),
            driver_.SessionOf("jan") == nullptr ? 0u : 1u);
  EXPECT_EQ(sites->sites(1).site(), "b");
  EXPECT_EQ(sites->sites(1).hosts_up(), 1u);
}

}  // namespace
}  // namespace werkplek
