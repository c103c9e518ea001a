#include "broker/core/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/broker/core/moving_site.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class BalanceTest : public MovingSite {
 protected:
  explicit BalanceTest(BrokerSettings settings = {}) : MovingSite(settings) {}

  // So many people with open displays, all on the host.
  void CrowdOn(const std::string& host, int people) {
    for (int i = 0; i < people; ++i) WorkOn(host, absl::StrCat("u", i));
  }
  absl::StatusOr<v1::RebalanceResponse> Ask(const std::string& site, bool dry_run) {
    v1::RebalanceRequest request;
    request.set_site(site);
    request.set_dry_run(dry_run);
    const auto answer = driver_.Call(driver_.Admin(), request);
    if (!answer.ok()) return answer.status();
    return static_cast<const v1::RebalanceResponse&>(**answer);
  }
  int On(const std::string& host) {
    int count = 0;
    for (const auto& entry : driver_.fleet().desktops) count += entry.record->host() == host;
    return count;
  }
};

TEST_F(BalanceTest, ADryRunSaysWhatWouldMoveAndMovesNothing) {
  Build(2, 0);
  CrowdOn("hv-a1", 6);
  const auto answer = Ask("a", true);
  ASSERT_TRUE(answer.ok()) << answer.status();
  ASSERT_THAT(answer->moves(), SizeIs(2));
  EXPECT_EQ(answer->moves(0).from(), "hv-a1");
  EXPECT_EQ(answer->moves(0).to(), "hv-a2");
  EXPECT_EQ(answer->moves(0).how(), "live");
  EXPECT_THAT(answer->moves(0).reason(), HasSubstr("hv-a1 at 33 %, hv-a2 at 0 %"));
  EXPECT_THAT(answer->reason(), HasSubstr("its hosts are even"));
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(On("hv-a2"), 0);
  EXPECT_THAT(Audited("rebalance"), IsEmpty());
}

TEST_F(BalanceTest, GoesOnAFewAtATimeUntilTheSiteIsEven) {
  Build(2, 0);
  CrowdOn("hv-a1", 6);
  driver_.check = [this](const Event&, const Decision&) { EXPECT_LE(Moving(), 1); };
  ASSERT_TRUE(Ask("a", false).ok());
  EXPECT_EQ(Moving(), 1);
  driver_.Advance(absl::Seconds(15));
  driver_.check = nullptr;
  EXPECT_EQ(On("hv-a1"), 4);
  EXPECT_EQ(On("hv-a2"), 2);
  for (int i = 0; i < 6; ++i) EXPECT_NE(driver_.SessionOf(absl::StrCat("u", i)), nullptr);
  EXPECT_THAT(Audited("rebalance"), SizeIs(1));
  EXPECT_THAT(Audited("rebalance-done"), SizeIs(1));
  EXPECT_THAT(Audited("move"), Contains(HasSubstr("admin:beheer desktop:kantoor-")));
  // Done: what becomes uneven later is left alone.
  driver_.Forget();
  driver_.Advance(absl::Minutes(3));
  EXPECT_THAT(driver_.Commands(v1::COMMAND_MIGRATE), IsEmpty());
}

TEST_F(BalanceTest, AnotherSiteOrNoneIsSaid) {
  Build(2, 0);
  EXPECT_EQ(Ask("z", false).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Ask("", true).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Ask("b", false)->reason(), "fewer than two hosts of the site are open for work");
}

TEST_F(BalanceTest, MovesThatFailEndTheRun) {
  Build(2, 0);
  CrowdOn("hv-a1", 5);
  Host("hv-a1").move_error = "unsupported CPU";
  ASSERT_TRUE(Ask("a", false).ok());
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(On("hv-a1"), 5);
  EXPECT_THAT(Audited("rebalance-done"), SizeIs(1));
  EXPECT_LE(driver_.Counted("moves", "failed"), 6u);
}

TEST_F(BalanceTest, ASpareOnItsWayIsGivenToNobody) {
  Build(2, 0);
  OnlyOn("hv-a1", [&] {
    UpdatePool([](v1::Pool& pool) { pool.set_running_spares(6); });
    driver_.Advance(absl::Seconds(8));
  });
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 6);
  driver_.hold_moves = true;
  ASSERT_TRUE(Ask("a", false).ok());
  ASSERT_EQ(Moving(), 1);
  for (int i = 0; i < 6; ++i) Come(absl::StrCat("u", i));
  for (const auto& entry : driver_.fleet().desktops) {
    if (entry.record->moving_to() == "") continue;
    EXPECT_EQ(entry.record->state(), v1::DESKTOP_STATE_READY);
  }
}

TEST_F(BalanceTest, LimitsHoldForHostsSitesAndAll) {
  Build(4, 0);
  for (const char* host : {"hv-a1", "hv-a2", "hv-a3"}) {
    for (int i = 0; i < 2; ++i) WorkOn(host, absl::StrCat(host, "-", i));
  }
  driver_.hold_moves = true;
  for (const char* host : {"hv-a1", "hv-a2"}) Drain(host);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Moving(), 2) << "two of a site at a time, one of and one to each host";
}

TEST_F(BalanceTest, NothingMovesByItselfWithoutAPolicy) {
  Build(2, 0);
  CrowdOn("hv-a1", 6);
  for (int i = 0; i < 6; ++i) LookAway(absl::StrCat("u", i));
  driver_.Advance(absl::Minutes(5));
  EXPECT_THAT(Audited("move"), IsEmpty());
}

BrokerSettings Automatic() {
  BrokerSettings settings;
  settings.balance.automatic = true;
  return settings;
}

class AutomaticTest : public BalanceTest {
 protected:
  AutomaticTest() : BalanceTest(Automatic()) {}
};

TEST_F(AutomaticTest, WhatStaysUnevenIsMadeEvenWithoutClosingADisplay) {
  Build(2, 0);
  CrowdOn("hv-a1", 6);
  driver_.Advance(absl::Minutes(3));
  EXPECT_THAT(Audited("move"), IsEmpty()) << "somebody looks at each display";
  for (int i = 0; i < 6; ++i) LookAway(absl::StrCat("u", i));
  driver_.Advance(absl::Seconds(50));
  EXPECT_THAT(Audited("move"), IsEmpty()) << "it might pass by itself";
  driver_.Advance(absl::Seconds(50));
  EXPECT_EQ(On("hv-a1"), 4);
  EXPECT_EQ(On("hv-a2"), 2);
  driver_.Forget();
  driver_.Advance(absl::Minutes(30));
  EXPECT_THAT(driver_.Commands(v1::COMMAND_MIGRATE), IsEmpty()) << "nothing goes back";
}

// Nights from 23:00 to 06:00; the driver's time begins at 22:13 UTC.
BrokerSettings Nights() {
  BrokerSettings settings;
  settings.balance.consolidation = DailyHours{23 * 60, 6 * 60};
  return settings;
}

class NightTest : public BalanceTest {
 protected:
  NightTest() : BalanceTest(Nights()) {}
};

TEST_F(NightTest, HostsThatCanBeSparedAreEmptiedAndTakeNothingUntilMorning) {
  Build(4, 0);
  WorkOn("hv-a1", "jan");
  WorkOn("hv-a2", "els");
  WorkOn("hv-a3", "piet");
  for (const char* user : {"jan", "els", "piet"}) LookAway(user);
  driver_.Advance(absl::Minutes(1));
  EXPECT_THAT(Audited("host-rests"), IsEmpty());
  driver_.now += absl::Hours(1);
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(driver_.Counted("moves", "failed"), 0u);
  EXPECT_THAT(Audited("host-rests"), SizeIs(2));
  std::vector<std::string> used;
  for (const char* host : {"hv-a1", "hv-a2", "hv-a3", "hv-a4"}) {
    if (On(host) > 0) used.push_back(host);
  }
  EXPECT_LE(used.size(), 2u);
  for (const char* user : {"jan", "els", "piet"}) EXPECT_NE(driver_.SessionOf(user), nullptr);
  // Who comes at night gets a desktop on a host that is awake.
  Come("kees");
  driver_.Advance(absl::Seconds(5));
  for (const std::string& line : Audited("host-rests")) {
    EXPECT_EQ(line.find(HostOf("kees")), std::string::npos) << line;
  }
  driver_.Forget();
  driver_.now += absl::Hours(8);
  driver_.Advance(absl::Seconds(15));
  EXPECT_THAT(Audited("host-wakes"), SizeIs(2));
}

TEST_F(NightTest, SparesOfHostsWithoutSharedStorageAreMadeElsewhere) {
  Build(3, 0);
  UpdatePool([](v1::Pool& pool) { pool.clear_storage(); });
  OnlyOn("hv-a1", [&] {
    UpdatePool([](v1::Pool& pool) { pool.set_running_spares(1); });
    driver_.Advance(absl::Seconds(5));
  });
  OnlyOn("hv-a2", [&] {
    UpdatePool([](v1::Pool& pool) { pool.set_running_spares(3); });
    driver_.Advance(absl::Seconds(5));
  });
  driver_.now += absl::Hours(1);
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 3);
  EXPECT_THAT(Audited("move"), IsEmpty());
  int empty = 0;
  for (const char* host : {"hv-a1", "hv-a2", "hv-a3"}) empty += On(host) == 0 ? 1 : 0;
  EXPECT_GE(empty, 1);
}

TEST_F(BalanceTest, ADrainedSiteWaitsBecauseNothingMovesBetweenSites) {
  Build(2, 0);
  WorkOn("hv-a1", "jan");
  SetSchedulability(v1::RESOURCE_KIND_SITE, "a", v1::SCHEDULABILITY_DRAINING);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_THAT(Explained(driver_.DesktopOf("jan")->id()),
              Contains(HasSubstr("hv-a2 is not open for work")));
}

}  // namespace
}  // namespace werkplek
