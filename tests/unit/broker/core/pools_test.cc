#include "broker/core/pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/model/desktop_machine.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class PoolsTest : public Municipality {
 protected:
  void SetImage(char digit) {
    UpdateImage([&](v1::Image& image) { image.set_sha256(std::string(64, digit)); });
  }
};

TEST_F(PoolsTest, FillsToTheMinimumAndKeepsSpares) {
  Open(2, 5, 1);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  for (int i = 0; i < 5; ++i) {
    Come(absl::StrCat("u", i));
    driver_.Advance(absl::Seconds(3));
    EXPECT_EQ(driver_.fleet().desktops.size(), std::min(5u, std::max(2u, i + 2u))) << i;
  }
}

TEST_F(PoolsTest, IdsAreThePoolsNameAndEightDigits) {
  Open(1, 5, 1);
  const std::string id = driver_.fleet().desktops.begin()->key;
  ASSERT_EQ(id.size(), std::string("kantoor-").size() + 8);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef", 8), std::string::npos);
}

TEST_F(PoolsTest, StartsAreLimitedPerHostAndSite) {
  driver_.Create(MakeSite("a"));
  v1::Resource site = *driver_.fleet().sites.Find("a");
  v1::UpdateResourceRequest update;
  site.mutable_site()->set_max_starts_in_flight(5);
  *update.mutable_resource() = site;
  ASSERT_TRUE(driver_.Call(driver_.Admin(), update).ok());
  for (const std::string name : {"hv-a1", "hv-a2"}) {
    v1::Resource host = MakeHost(name);
    host.mutable_host()->set_max_starts_in_flight(3);
    driver_.Create(host);
    driver_.AddHost(name).stuck = true;
  }
  driver_.Create(MakeImage("tiny"));
  driver_.Create(MakePool("kantoor", 20, 20, 0));
  driver_.Apply(Tick{});
  std::map<std::string, int> starts;
  for (const auto& entry : driver_.fleet().desktops) ++starts[entry.record->host()];
  EXPECT_EQ(starts["hv-a1"] + starts["hv-a2"], 5);
  EXPECT_LE(starts["hv-a1"], 3);
  EXPECT_LE(starts["hv-a2"], 3);
  // As starts finish, more begin, until all are there.
  Host("hv-a1").stuck = Host("hv-a2").stuck = false;
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 20);
}

TEST_F(PoolsTest, ResetsAreStartsToo) {
  Open(12, 12, 0);
  for (int i = 0; i < 12; ++i) Come(absl::StrCat("u", i));
  driver_.Advance(absl::Seconds(2));
  Host().stuck = true;
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(End(absl::StrCat("u", i)).ok());
  driver_.Advance(absl::Seconds(9));
  // The guests do not answer; after ten seconds all are released at once.
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_RESETTING), 4);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_DIRTY), 8);
  Host().stuck = false;
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 12);
}

TEST_F(PoolsTest, PlacementSpreads) {
  driver_.Create(MakeSite("a"));
  for (const std::string name : {"hv-a1", "hv-a2"}) {
    driver_.Create(MakeHost(name));
    driver_.AddHost(name);
  }
  driver_.Create(MakeImage("tiny"));
  driver_.Create(MakePool("kantoor", 8, 8, 8));
  driver_.Advance(absl::Seconds(5));
  std::map<std::string, int> counts;
  for (const auto& entry : driver_.fleet().desktops) ++counts[entry.record->host()];
  EXPECT_EQ(counts["hv-a1"], 4);
  EXPECT_EQ(counts["hv-a2"], 4);
}

TEST_F(PoolsTest, AStartThatFailsIsTriedAgainAndThenGivenUp) {
  Open(1, 1, 0, [](v1::Pool& pool) { pool.set_max_failures(3); });
  const std::string id = driver_.fleet().desktops.begin()->key;
  Host().start_error = "no space left";
  Host().Find(id)->set_power(v1::POWER_OFF);
  Host().Find(id)->set_generation(0);
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(Desktop(id).state(), v1::DESKTOP_STATE_ERROR);
  EXPECT_EQ(Desktop(id).failures(), 3u);
  EXPECT_EQ(Desktop(id).last_error(), "no space left");
  EXPECT_EQ(driver_.Counted("start_failures", "kantoor"), 3u);
  // The help desk's reset is the way out.
  Host().start_error.clear();
  v1::ResetDesktopRequest request;
  request.set_desktop(id);
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Desktop(id).state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Desktop(id).failures(), 0u);
  EXPECT_EQ(Desktop(id).last_error(), "");
}

TEST_F(PoolsTest, AStartThatTakesTooLongFailsAndSaysWhatWasSeen) {
  Open(0, 1, 0, [](v1::Pool& pool) { pool.set_start_deadline_s(20); });
  Host().stuck = true;
  Come("jan");
  driver_.Advance(absl::Seconds(21));
  const v1::Desktop& desktop = *driver_.fleet().desktops.begin()->record;
  EXPECT_EQ(desktop.failures(), 1u);
  EXPECT_THAT(desktop.last_error(), HasSubstr("not ready within 20 s"));
  EXPECT_EQ(desktop.generation(), 2u);
}

TEST_F(PoolsTest, AGuestThatNeverComesUpFailsTheStart) {
  Open(0, 1, 0, [](v1::Pool& pool) { pool.set_start_deadline_s(20); });
  Host().guest_agent = false;  // The image says there is one.
  Come("jan");
  driver_.Advance(absl::Seconds(21));
  EXPECT_THAT(driver_.fleet().desktops.begin()->record->last_error(),
              HasSubstr("its guest agent does not answer"));
}

TEST_F(PoolsTest, TheBreakerStopsNewDesktopsSaysWhyProbesAndCloses) {
  Open(0, 50, 0, [](v1::Pool& pool) {
    pool.set_breaker_failures(4);
    pool.set_max_failures(2);
  });
  Host().start_error = "wrong digest";
  const CallId jan = Come("jan");
  driver_.Advance(absl::Seconds(10));
  ASSERT_THAT(Pool().breaker, HasSubstr("wrong digest"));
  EXPECT_EQ(Pool().failures_in_a_row, 4u);
  // Those who wait are told.
  const auto last = driver_.Last(jan);
  ASSERT_TRUE(last.has_queued()) << last.ShortDebugString();
  EXPECT_THAT(last.queued().explanation().DebugString(), HasSubstr("makes no new desktops"));
  // One start every thirty seconds, no more.
  driver_.Forget();
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(driver_.Counted("start_failures", "kantoor"), 0u);
  driver_.Advance(absl::Seconds(120));
  EXPECT_EQ(driver_.Counted("start_failures", "kantoor"), 4u);
  // A probe that works closes it, and the waiting are served.
  Host().start_error.clear();
  driver_.Advance(absl::Seconds(40));
  EXPECT_EQ(Pool().breaker, "");
  EXPECT_TRUE(driver_.Last(jan).has_ready());
}

TEST_F(PoolsTest, AnOpenBreakersProbesUseUpNoDesktop) {
  Open(2, 2, 2, [](v1::Pool& pool) {
    pool.set_breaker_failures(3);
    pool.set_max_failures(2);
  });
  Host().start_error = "no space left";
  SetImage('b');
  driver_.Advance(absl::Minutes(10));
  EXPECT_THAT(Pool().breaker, HasSubstr("no space left"));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_ERROR), 0);
  driver_.Forget();
  driver_.Advance(absl::Minutes(1));
  EXPECT_EQ(driver_.Counted("start_failures", "kantoor"), 2u) << "it goes on trying";
  Host().start_error.clear();
  driver_.Advance(absl::Seconds(40));
  EXPECT_EQ(Pool().breaker, "");
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
}

TEST_F(PoolsTest, AProbeThatWorksRevivesWhatWasGivenUpOnTheWay) {
  Open(2, 2, 2, [](v1::Pool& pool) {
    pool.set_breaker_failures(4);
    pool.set_max_failures(2);
  });
  Host().start_error = "no space left";
  SetImage('b');
  driver_.Advance(absl::Seconds(20));
  ASSERT_NE(Pool().breaker, "");
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_ERROR), 1);
  Host().start_error.clear();
  driver_.Advance(absl::Seconds(40));
  EXPECT_EQ(Pool().breaker, "");
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  for (const auto& entry : driver_.fleet().desktops) EXPECT_EQ(entry.record->failures(), 0u);
}

TEST_F(PoolsTest, FixingTheImageClosesTheBreakerAtOnceAndRevivesWhatFailed) {
  Open(2, 4, 2, [](v1::Pool& pool) {
    pool.set_breaker_failures(4);
    pool.set_max_failures(2);
  });
  Host().start_error = "wrong digest";
  SetImage('b');
  driver_.Advance(absl::Seconds(10));
  ASSERT_NE(Pool().breaker, "");
  ASSERT_GT(driver_.Desktops(v1::DESKTOP_STATE_ERROR), 0);
  Host().start_error.clear();
  SetImage('c');
  EXPECT_EQ(Pool().breaker, "");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_ERROR), 0);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
}

// What a host says of the image that it could not fetch, or could.
void ReportImage(FakeHost& host, const std::string& error, char digit = 'a') {
  host.report().clear_images();
  v1::ImageReport& image = *host.report().add_images();
  image.set_image("tiny");
  image.set_sha256(std::string(64, digit));
  image.set_verified(error.empty());
  image.set_error(error);
}

TEST_F(PoolsTest, AnImageThatFailedOnEveryHostBreaksThePoolBeforeAnyStart) {
  Open(0, 4, 0);
  driver_.Create(MakeHost("hv-a2"));
  FakeHost& second = driver_.AddHost("hv-a2");
  ReportImage(Host(), "wrong digest");
  driver_.Advance(absl::Seconds(2));
  // One host may still have it.
  EXPECT_EQ(Pool().breaker, "");
  ReportImage(second, "no such file");
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Pool().breaker,
            "the image tiny failed on every host that is there for it; hv-a1: wrong digest");
  EXPECT_EQ(Pool().failures_in_a_row, 0u);
  const auto last = driver_.Last(Come("jan"));
  ASSERT_TRUE(last.has_refused()) << last.ShortDebugString();
  EXPECT_EQ(last.refused().rule(), "pool-broken");
  EXPECT_THAT(last.refused().reasons(0), HasSubstr("wrong digest"));
  EXPECT_TRUE(driver_.fleet().desktops.empty());
  // One that has it good is enough.
  ReportImage(second, "");
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Pool().breaker, "");
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(again).has_ready());
  EXPECT_EQ(driver_.DesktopOf("jan")->host(), "hv-a2");
  std::vector<std::string> audited;
  for (const v1::AuditRecord& record : driver_.audit()) {
    if (record.object() == "pool:kantoor" && record.actor() == "broker") {
      audited.push_back(record.action());
    }
  }
  EXPECT_THAT(audited, testing::ElementsAre("breaker-open", "breaker-closed"));
}

TEST_F(PoolsTest, WhoWaitsIsToldWhenTheImageFailsEverywhere) {
  Open(0, 4, 0);
  Host().stuck = true;
  const CallId jan = Come("jan");
  ASSERT_TRUE(driver_.Last(jan).has_starting());
  // The start may still work; only when it has failed nothing is left to wait for.
  ReportImage(Host(), "wrong digest");
  driver_.Advance(absl::Seconds(2));
  EXPECT_TRUE(driver_.Last(jan).has_starting());
  Host().stuck = false;
  Host().start_error = "image tiny: wrong digest";
  driver_.Advance(absl::Seconds(30));
  ASSERT_TRUE(driver_.Last(jan).has_refused()) << driver_.Last(jan).ShortDebugString();
  EXPECT_EQ(driver_.Last(jan).refused().rule(), "pool-broken");
}

TEST_F(PoolsTest, AnotherImageMendsThePoolAtOnceAndASpareIsGivenAllTheWhile) {
  Open(1, 4, 1);
  ReportImage(Host(), "the file was changed");
  driver_.Advance(absl::Seconds(2));
  EXPECT_NE(Pool().breaker, "");
  const CallId jan = Come("jan");
  driver_.Advance(absl::Seconds(2));
  EXPECT_TRUE(driver_.Last(jan).has_ready());
  EXPECT_NE(Pool().breaker, "");
  SetImage('b');
  EXPECT_EQ(Pool().breaker, "");
  const CallId piet = Come("piet");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(piet).has_ready());
}

TEST_F(PoolsTest, AHostThatIsNotThereNeitherBreaksNorMendsThePool) {
  Open(0, 4, 0);
  driver_.Create(MakeHost("hv-a2"));
  FakeHost& second = driver_.AddHost("hv-a2");
  ReportImage(Host(), "wrong digest");
  driver_.Advance(absl::Seconds(2));
  second.silent = true;
  driver_.Advance(absl::Seconds(11));
  EXPECT_NE(Pool().breaker, "");
  second.silent = false;
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Pool().breaker, "");
}

TEST_F(PoolsTest, AStartThatFailedIsTriedOnAnotherHost) {
  driver_.Create(MakeSite("a"));
  for (const std::string name : {"hv-a1", "hv-a2"}) {
    driver_.Create(MakeHost(name));
    driver_.AddHost(name);
  }
  driver_.Create(MakeImage("tiny"));
  Host("hv-a1").start_error = "no space left";
  driver_.Create(MakePool("kantoor", 1, 1, 1));
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(driver_.fleet().desktops.size(), 1u);
  const v1::Desktop& desktop = *driver_.fleet().desktops.begin()->record;
  EXPECT_EQ(desktop.host(), "hv-a2");
  EXPECT_EQ(desktop.state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(desktop.failures(), 0u);
  EXPECT_EQ(driver_.Counted("start_failures", "kantoor"), 1u);
  EXPECT_TRUE(driver_.Logged("start-elsewhere", "host", "hv-a2"));
  // Nothing of the first try is left.
  EXPECT_TRUE(Host("hv-a1").report().desktops().empty());
}

TEST_F(PoolsTest, FailuresCountAcrossHostsUntilItIsGivenUp) {
  driver_.Create(MakeSite("a"));
  for (const std::string name : {"hv-a1", "hv-a2"}) {
    driver_.Create(MakeHost(name));
    driver_.AddHost(name).start_error = "no space left";
  }
  driver_.Create(MakeImage("tiny"));
  v1::Resource pool = MakePool("kantoor", 1, 1, 1);
  pool.mutable_pool()->set_max_failures(3);
  driver_.Create(pool);
  driver_.Advance(absl::Seconds(10));
  ASSERT_EQ(driver_.fleet().desktops.size(), 1u);
  const v1::Desktop& desktop = *driver_.fleet().desktops.begin()->record;
  EXPECT_EQ(desktop.state(), v1::DESKTOP_STATE_ERROR);
  EXPECT_EQ(desktop.failures(), 3u);
  EXPECT_EQ(desktop.last_error(), "no space left");
  // There and back again.
  EXPECT_EQ(driver_.Commands(v1::COMMAND_START).size(), 3u);
}

TEST_F(PoolsTest, ANewImageReachesEverySpareFewAtATime) {
  Open(10, 12, 10);
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  const std::string jans = driver_.DesktopOf("jan")->id();
  Host().stuck = true;
  SetImage('b');
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_RESETTING), 4);
  // The others can still be given out meanwhile.
  EXPECT_GT(driver_.Desktops(v1::DESKTOP_STATE_READY), 0);
  Host().stuck = false;
  driver_.Advance(absl::Seconds(10));
  for (const auto& entry : driver_.fleet().desktops) {
    const bool is_jans = entry.key == jans;
    EXPECT_EQ(entry.record->proof().backing_sha256(), std::string(64, is_jans ? 'a' : 'b'));
  }
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(3));
  if (driver_.fleet().desktops.Find(jans) != nullptr) {
    EXPECT_EQ(Desktop(jans).proof().backing_sha256(), std::string(64, 'b'));
  }
}

TEST_F(PoolsTest, AFreshSpareIsGivenBeforeAStaleOne) {
  Open(6, 6, 6);
  Host().stuck = true;
  SetImage('b');
  Host().stuck = false;
  driver_.ReportAll();
  driver_.now += absl::Seconds(1);
  driver_.ReportAll();
  Come("jan");
  EXPECT_EQ(driver_.DesktopOf("jan")->proof().backing_sha256(), std::string(64, 'b'));
}

TEST_F(PoolsTest, ANewSizeIsReachedByResetsAsFarAsTheHostHolds) {
  driver_.Create(MakeSite("a"));
  v1::Resource host = MakeHost("hv-a1");
  host.mutable_host()->set_memory_limit_mib(4096);
  driver_.Create(host);
  driver_.Create(MakeImage("tiny"));
  driver_.Create(MakePool("kantoor", 4, 4, 4));
  driver_.AddHost("hv-a1");
  driver_.Advance(absl::Seconds(5));
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 4);
  UpdatePool([](v1::Pool& pool) { pool.set_memory_mib(2048); });
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  for (const auto& entry : driver_.fleet().desktops) EXPECT_EQ(entry.record->memory_mib(), 2048u);
}

TEST_F(PoolsTest, SparesBeyondTheRunningOnesAreSuspendedAfterAMinute) {
  Open(4, 8, 1);
  driver_.Forget();
  driver_.Advance(absl::Seconds(50));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_SUSPEND).empty());
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(driver_.Commands(v1::COMMAND_SUSPEND).size(), 3u);
  // Taking the running one wakes another.
  Come("jan");
  EXPECT_EQ(driver_.Commands(v1::COMMAND_RESUME).size(), 1u);
}

TEST_F(PoolsTest, AShrunkPoolLosesSparesNotPeople) {
  Open(6, 8, 6);
  Come("jan");
  Come("piet");
  driver_.Advance(absl::Seconds(3));
  UpdatePool([](v1::Pool& pool) {
    pool.set_max_desktops(1);
    pool.set_min_desktops(0);
    pool.set_running_spares(0);
  });
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.fleet().desktops.size(), 2u);
  EXPECT_EQ(Host().report().desktops_size(), 2);
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  EXPECT_NE(driver_.SessionOf("piet"), nullptr);
}

TEST_F(PoolsTest, ADrainedPoolEmptiesAndCanBeDeleted) {
  Open(3, 8, 3);
  Come("jan");
  const CallId piet = [&] {
    for (int i = 0; i < 7; ++i) Come(absl::StrCat("u", i));
    driver_.Advance(absl::Seconds(3));
    return Come("piet");
  }();
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_DRAINING);
  EXPECT_EQ(driver_.Last(piet).refused().rule(), "pool-draining");
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  ASSERT_TRUE(End("jan").ok());
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(End(absl::StrCat("u", i)).ok());
  driver_.Advance(absl::Seconds(15));
  EXPECT_TRUE(driver_.fleet().desktops.empty());
  v1::DeleteResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_ENTITLEMENT);
  request.set_name("kantoor-staff");
  EXPECT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  request.set_kind(v1::RESOURCE_KIND_POOL);
  request.set_name("kantoor");
  EXPECT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(driver_.fleet().pool_soft.Find("kantoor"), nullptr);
}

TEST_F(PoolsTest, APoolStaysInItsSites) {
  driver_.Create(MakeSite("a"));
  driver_.Create(MakeSite("b"));
  driver_.Create(MakeHost("hv-a1", "a"));
  driver_.Create(MakeHost("hv-b1", "b"));
  driver_.AddHost("hv-a1");
  driver_.AddHost("hv-b1");
  driver_.Create(MakeImage("tiny"));
  v1::Resource pool = MakePool("kantoor", 5, 5, 0);
  pool.mutable_pool()->add_sites("b");
  driver_.Create(pool);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.fleet().desktops.size(), 5u);
  for (const auto& entry : driver_.fleet().desktops) EXPECT_EQ(entry.record->host(), "hv-b1");
}

TEST_F(PoolsTest, AHostWhereTheImageFailedGetsNoMore) {
  driver_.Create(MakeSite("a"));
  driver_.Create(MakeHost("hv-a1"));
  driver_.Create(MakeHost("hv-a2"));
  driver_.Create(MakeImage("tiny"));
  FakeHost& bad = driver_.hosts.emplace("hv-a1", FakeHost("hv-a1")).first->second;
  v1::ImageReport* image = bad.report().add_images();
  image->set_image("tiny");
  image->set_sha256(std::string(64, 'a'));
  image->set_error("wrong digest");
  driver_.AddHost("hv-a1");
  driver_.AddHost("hv-a2");
  driver_.Create(MakePool("kantoor", 4, 4, 0));
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.fleet().desktops.size(), 4u);
  for (const auto& entry : driver_.fleet().desktops) EXPECT_EQ(entry.record->host(), "hv-a2");
}

}  // namespace
}  // namespace werkplek
