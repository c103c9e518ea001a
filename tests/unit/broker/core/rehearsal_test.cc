#include "broker/core/rehearsal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/site_views.h"
#include "tests/unit/broker/core/driver.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Everybody sits in site a; site b is where they would go.
class RehearsalTest : public testing::Test {
 protected:
  void Build(uint32_t room_in_b, uint32_t starts_in_b) {
    driver_.Create(MakeSite("a"));
    v1::Resource b = MakeSite("b");
    b.mutable_site()->set_max_starts_in_flight(starts_in_b);
    driver_.Create(b);
    driver_.Create(MakeHost("hv-a1", "a"));
    driver_.Create(MakeHost("hv-a2", "a"));
    for (const char* name : {"hv-b1", "hv-b2"}) {
      v1::Resource host = MakeHost(name, "b");
      host.mutable_host()->set_max_desktops(room_in_b);
      driver_.Create(host);
    }
    driver_.Create(MakeImage("tiny"));
    for (const char* name : {"hv-a1", "hv-a2", "hv-b1", "hv-b2"}) driver_.AddHost(name);
  }
  void AddPool(const std::string& name, uint32_t priority, uint32_t max = 50) {
    v1::Resource pool = MakePool(name, 0, max, 0);
    pool.mutable_pool()->set_priority(priority);
    pool.mutable_pool()->set_home_site("a");
    driver_.Create(pool);
    driver_.Create(MakeEntitlement(name));
  }
  void Come(const std::string& user, const std::string& pool) {
    driver_.Connect(driver_.SignIn(user), pool);
    driver_.Advance(absl::Seconds(2));
    ASSERT_NE(driver_.DesktopOf(user), nullptr);
    ASSERT_EQ(driver_.DesktopOf(user)->host()[3], 'a');
  }
  Rehearsal Rehearse(const std::string& site = "a") {
    return RehearseLoss(driver_.fleet(), settings_, site);
  }
  // "jan hv-b1 30": who, where, after how many seconds.
  static std::vector<std::string> Lines(const Rehearsal& rehearsal) {
    std::vector<std::string> lines;
    for (const auto& person : rehearsal.people) {
      lines.push_back(absl::StrCat(person.user(), " ", person.host(), " ", person.ready_after_s()));
    }
    return lines;
  }

  BrokerSettings settings_;
  Driver driver_;
};

TEST_F(RehearsalTest, GoesByPriorityThenByTheAgeOfTheSession) {
  Build(10, 32);
  AddPool("archief", 1);
  AddPool("balie", 9);
  Come("els", "archief");
  Come("jan", "balie");
  Come("piet", "balie");
  EXPECT_THAT(Lines(Rehearse()), ElementsAre("jan hv-b1 30", "piet hv-b2 30", "els hv-b1 30"));
  EXPECT_EQ(Rehearse().fit, 3u);
  EXPECT_EQ(Rehearse().wait, 0u);
  EXPECT_EQ(Rehearse().people[2].order(), 3u);
  // Nobody sits in b.
  EXPECT_TRUE(Rehearse("b").people.empty());
}

TEST_F(RehearsalTest, StartsComeInWavesByTheLimits) {
  Build(10, 2);
  AddPool("kantoor", 0);
  for (int i = 0; i < 5; ++i) Come(absl::StrCat("u", i), "kantoor");
  const Rehearsal rehearsal = Rehearse();
  std::vector<int> ready;
  for (const auto& person : rehearsal.people) ready.push_back(person.ready_after_s());
  EXPECT_THAT(ready, ElementsAre(30, 30, 60, 60, 90));
  EXPECT_EQ(rehearsal.all_ready_after_s, 90u);
}

TEST_F(RehearsalTest, WhoDoesNotFitWaitsAndIsToldWhy) {
  Build(1, 32);
  AddPool("kantoor", 0);
  AddPool("balie", 5, 1);
  for (int i = 0; i < 4; ++i) Come(absl::StrCat("u", i), "kantoor");
  Come("jan", "balie");
  const Rehearsal rehearsal = Rehearse();
  EXPECT_EQ(rehearsal.fit, 2u);
  EXPECT_EQ(rehearsal.wait, 3u);
  EXPECT_EQ(rehearsal.people[0].user(), "jan");
  EXPECT_EQ(rehearsal.people[4].host(), "");
  EXPECT_EQ(rehearsal.people[4].ready_after_s(), -1);
  EXPECT_THAT(rehearsal.people[4].reason(), HasSubstr("max-desktops 2"));
  // It is what the real loss then does.
  const auto status = SiteStatusOf({driver_.fleet(), settings_, driver_.now}, "a");
  EXPECT_EQ(status.would_wait(), 3u);
}

TEST_F(RehearsalTest, APoolsOwnLimitAndItsClosedDoorCount) {
  Build(10, 32);
  AddPool("kantoor", 0);
  Come("jan", "kantoor");
  v1::SetSchedulabilityRequest request;
  request.set_kind(v1::RESOURCE_KIND_POOL);
  request.set_name("kantoor");
  request.set_schedulability(v1::SCHEDULABILITY_MAINTENANCE);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(Rehearse().people.at(0).reason(), "the pool is in maintenance");
}

TEST_F(RehearsalTest, SparesElsewhereServeAtOnce) {
  Build(10, 32);
  AddPool("kantoor", 0);
  Come("jan", "kantoor");
  v1::UpdateResourceRequest update;
  *update.mutable_resource() = *driver_.fleet().pools.Find("kantoor");
  update.mutable_resource()->mutable_pool()->set_home_site("b");
  update.mutable_resource()->mutable_pool()->set_running_spares(1);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), update).ok());
  driver_.Advance(absl::Seconds(3));
  const Rehearsal rehearsal = Rehearse();
  ASSERT_EQ(rehearsal.people.size(), 1u);
  EXPECT_EQ(rehearsal.people[0].host().substr(0, 4), "hv-b");
  EXPECT_EQ(rehearsal.people[0].ready_after_s(), 0);
}

// The rehearsal and the real thing agree on who fits.
TEST_F(RehearsalTest, TheRealLossServesAsManyAsWereRehearsed) {
  Build(2, 32);
  AddPool("kantoor", 0);
  for (int i = 0; i < 6; ++i) Come(absl::StrCat("u", i), "kantoor");
  const Rehearsal rehearsal = Rehearse();
  EXPECT_EQ(rehearsal.fit, 4u);
  driver_.hosts.at("hv-a1").silent = driver_.hosts.at("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(12));
  std::vector<CallId> calls;
  for (int i = 0; i < 6; ++i) {
    calls.push_back(driver_.Connect(driver_.SignIn(absl::StrCat("u", i)), "kantoor"));
  }
  driver_.Advance(absl::Seconds(10));
  const auto ready = std::count_if(calls.begin(), calls.end(),
                                   [&](CallId call) { return driver_.Last(call).has_ready(); });
  EXPECT_EQ(static_cast<uint32_t>(ready), rehearsal.fit);
}

TEST_F(RehearsalTest, AStartIsReckonedAtWhatSparesTook) {
  Fleet fleet;
  EXPECT_EQ(StartTimeOf(fleet, "kantoor"), kAssumedStart);
  for (const int seconds : {12, 20, 90}) {
    auto desktop = std::make_shared<v1::Desktop>();
    desktop->set_id(absl::StrCat("d", seconds));
    desktop->set_pool("kantoor");
    desktop->set_state(v1::DESKTOP_STATE_READY);
    desktop->set_state_since_unix_ms(1'700'000'000'000 + seconds * 1000);
    desktop->mutable_proof()->set_overlay_created_unix_ns(1'700'000'000'000'000'000);
    fleet.desktops.Put(desktop->id(), desktop);
  }
  EXPECT_EQ(StartTimeOf(fleet, "kantoor"), absl::Seconds(20));
}

TEST_F(RehearsalTest, PagesLeadThroughEverybody) {
  Build(10, 32);
  AddPool("kantoor", 0);
  for (int i = 0; i < 5; ++i) Come(absl::StrCat("u", i), "kantoor");
  const ViewContext context{driver_.fleet(), settings_, driver_.now};
  v1::RehearseSiteLossRequest request;
  request.set_site("nowhere");
  EXPECT_EQ(View(context, request).status().code(), absl::StatusCode::kNotFound);
  request.set_site("a");
  request.set_limit(2);
  std::vector<uint32_t> orders;
  for (bool more = true; more; request.set_skip(static_cast<uint32_t>(orders.size()))) {
    const auto page = View(context, request);
    ASSERT_TRUE(page.ok());
    ASSERT_LE(page->people_size(), 2);
    EXPECT_EQ(page->fit(), 5u);
    for (const auto& person : page->people()) orders.push_back(person.order());
    more = page->more();
  }
  EXPECT_THAT(orders, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(RehearsalTest, AnOwnDesktopGoesWhereItsStorageIsAfterItsFence) {
  Build(10, 32);
  for (const std::string name : {"eigen", "lokaal"}) {
    v1::Resource pool = MakePool(name, 0, 1, 0);
    pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
    pool.mutable_pool()->set_home_site("a");
    if (name == "eigen") pool.mutable_pool()->set_storage("san");
    driver_.Create(pool);
    driver_.Create(MakeEntitlement(name));
  }
  for (auto& [name, host] : driver_.hosts) {
    if (name != "hv-b1") host.AttachStorage();
  }
  driver_.Advance(absl::Seconds(2));
  Come("jan", "eigen");
  Come("piet", "lokaal");
  const Rehearsal rehearsal = Rehearse();
  EXPECT_THAT(Lines(rehearsal), ElementsAre("jan hv-b2 45", "piet  -1"));
  EXPECT_THAT(rehearsal.people.at(1).reason(), HasSubstr("on a host of the site alone"));
}

}  // namespace
}  // namespace werkplek
