#include "broker/core/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ViewsTest : public Municipality {
 protected:
  template <typename Request>
  auto See(const Request& request, const v1::SignIn* me = nullptr) {
    return View(ViewContext{driver_.fleet(), settings_, driver_.now, me}, request);
  }
  v1::SignIn Me(const std::string& token) {
    return *SignInOf(driver_.fleet(), driver_.CallerOf(token));
  }
  BrokerSettings settings_;
};

TEST_F(ViewsTest, APersonSeesTheOwnPoolsAndSessionsOnly) {
  Open(2, 4, 2);
  driver_.Create(MakePool("raad", 0, 2, 0));
  driver_.Create(MakeEntitlement("raad", "council"));
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Come("piet");
  const v1::SignIn jan = Me(token);
  const auto pools = See(v1::ListPoolsRequest(), &jan);
  ASSERT_TRUE(pools.ok());
  ASSERT_EQ(pools->pools_size(), 1);
  EXPECT_EQ(pools->pools(0).pool(), "kantoor");
  EXPECT_TRUE(pools->pools(0).available());
  EXPECT_EQ(pools->pools(0).unavailable_rule(), "");
  EXPECT_EQ(pools->pools(0).session().session(), driver_.SessionOf("jan")->id());
  EXPECT_EQ(pools->pools(0).session().state(), v1::SESSION_STATE_READY);
  const v1::SignIn kees = Me(driver_.SignIn("kees"));
  EXPECT_FALSE(See(v1::ListPoolsRequest(), &kees)->pools(0).has_session());
  EXPECT_TRUE(absl::IsUnauthenticated(See(v1::ListPoolsRequest()).status()));
}

TEST_F(ViewsTest, APoolThatGivesNothingSaysWhy) {
  Open(1, 4, 1);
  const v1::SignIn jan = Me(driver_.SignIn("jan"));
  const auto kantoor = [&] { return See(v1::ListPoolsRequest(), &jan)->pools(0); };
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_MAINTENANCE);
  EXPECT_FALSE(kantoor().available());
  EXPECT_THAT(kantoor().unavailable_reason(), HasSubstr("maintenance"));
  EXPECT_EQ(kantoor().unavailable_rule(), "pool-maintenance");
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_DRAINING);
  EXPECT_THAT(kantoor().unavailable_reason(), HasSubstr("emptied"));
  EXPECT_EQ(kantoor().unavailable_rule(), "pool-draining");
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_OPEN);
  EXPECT_TRUE(kantoor().available());
  // No host could make another desktop.
  v1::ImageReport& image = *Host().report().add_images();
  image.set_image("tiny");
  image.set_error("wrong digest");
  driver_.Advance(absl::Seconds(2));
  EXPECT_FALSE(kantoor().available());
  EXPECT_THAT(kantoor().unavailable_reason(), HasSubstr("wrong digest"));
  EXPECT_EQ(kantoor().unavailable_rule(), "pool-broken");
}

TEST_F(ViewsTest, APersonIsFoundHoweverTheNameIsSpelt) {
  Open(2, 4, 2);
  Come("JansenJ");
  Come("jansen");
  v1::ListSessionsRequest sessions;
  sessions.set_user("jansenj");
  ASSERT_EQ(See(sessions)->sessions_size(), 1);
  EXPECT_EQ(See(sessions)->sessions(0).user(), "JansenJ");
  v1::ListSignInsRequest sign_ins;
  sign_ins.set_user("JANSENJ");
  ASSERT_EQ(See(sign_ins)->sign_ins_size(), 1);
  EXPECT_EQ(See(sign_ins)->sign_ins(0).user(), "JansenJ");
}

TEST_F(ViewsTest, PagesMeet) {
  for (int i = 0; i < 25; ++i) driver_.Create(MakeSite(absl::StrCat("s", 10 + i)));
  v1::ListResourcesRequest request;
  request.set_kind(v1::RESOURCE_KIND_SITE);
  request.set_limit(10);
  int seen = 0;
  int pages = 0;
  while (true) {
    const auto page = See(request);
    ASSERT_TRUE(page.ok());
    ++pages;
    for (const auto& resource : page->resources()) {
      EXPECT_EQ(resource.name(), absl::StrCat("s", 10 + seen++));
    }
    if (!page->more()) break;
    EXPECT_EQ(page->resources_size(), 10);
    request.set_after(page->resources(9).name());
  }
  EXPECT_EQ(seen, 25);
  EXPECT_EQ(pages, 3);
  request.set_kind(v1::RESOURCE_KIND_UNSPECIFIED);
  EXPECT_TRUE(absl::IsInvalidArgument(See(request).status()));
}

TEST_F(ViewsTest, APageFitsAMessage) {
  for (int i = 0; i < 100; ++i) {
    v1::Resource site = MakeSite(absl::StrCat("s", 100 + i));
    site.mutable_site()->set_description(std::string(1000, 'x'));
    driver_.Create(site);
  }
  v1::ListResourcesRequest request;
  request.set_kind(v1::RESOURCE_KIND_SITE);
  const auto page = See(request);
  EXPECT_TRUE(page->more());
  EXPECT_LT(page->ByteSizeLong(), 64u << 10);
  EXPECT_GT(page->resources_size(), 40);
}

TEST_F(ViewsTest, OneResource) {
  Open(1, 4, 1);
  v1::GetResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_POOL);
  request.set_name("kantoor");
  EXPECT_EQ(See(request)->pool().max_desktops(), 4u);
  request.set_name("nowhere");
  EXPECT_EQ(See(request).status().message(), "there is no pool \"nowhere\"");
  request.clear_kind();
  EXPECT_TRUE(absl::IsInvalidArgument(See(request).status()));
}

TEST_F(ViewsTest, Desktops) {
  Open(3, 4, 3);
  Come("jan");
  Look("jan");
  v1::ListDesktopsRequest list;
  list.set_pool("kantoor");
  list.set_host("hv-a1");
  EXPECT_EQ(See(list)->desktops_size(), 4);
  list.set_limit(3);
  EXPECT_TRUE(See(list)->more());
  list.set_host("hv-zz");
  EXPECT_EQ(See(list)->desktops_size(), 0);
  v1::GetDesktopRequest get;
  get.set_desktop(driver_.DesktopOf("jan")->id());
  const auto status = See(get);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->user(), "jan");
  EXPECT_EQ(status->host_liveness(), v1::LIVENESS_UP);
  EXPECT_EQ(status->reported_power(), v1::POWER_RUNNING);
  EXPECT_TRUE(status->viewer_connected());
  EXPECT_EQ(status->reported_error(), "");
  get.set_desktop("none");
  EXPECT_TRUE(absl::IsNotFound(See(get).status()));
  // A silent host's desktops are unknown.
  Host().silent = true;
  driver_.Advance(absl::Seconds(5));
  get.set_desktop(driver_.DesktopOf("jan")->id());
  EXPECT_EQ(See(get)->reported_power(), v1::POWER_UNSPECIFIED);
  EXPECT_EQ(See(get)->host_liveness(), v1::LIVENESS_SUSPECT);
}

TEST_F(ViewsTest, WhatAHostSaysOfADesktopIsShown) {
  Open(1, 4, 1);
  Come("jan");
  const std::string id = driver_.DesktopOf("jan")->id();
  Host().Find(id)->set_error("no room where its disk is");
  driver_.check = [](const Event&, const Decision& decision) {
    for (const v1::Change& change : decision.changes) {
      EXPECT_EQ(change.value().find("no room"), std::string::npos) << change.table();
    }
  };
  driver_.ReportAll();
  v1::GetDesktopRequest get;
  get.set_desktop(id);
  EXPECT_EQ(See(get)->reported_error(), "no room where its disk is");
  const auto all = See(v1::ListDesktopsRequest());
  for (const v1::DesktopStatus& status : all->desktops()) {
    EXPECT_EQ(status.reported_error(),
              status.desktop().id() == id ? "no room where its disk is" : "");
  }
  v1::ExplainRequest explain;
  for (const std::string& asked : {id, driver_.SessionOf("jan")->id()}) {
    explain.set_id(asked);
    EXPECT_THAT(See(explain)->steps(), Contains("its host hv-a1 says: no room where its disk is"));
  }
  // What failed that was asked for; with a byte that no text has.
  Host().Find(id)->set_failed_verb(v1::COMMAND_BEGIN_SESSION);
  Host().Find(id)->set_error(absl::StrCat("no\xff answer", std::string(2000, 'x')));
  driver_.ReportAll();
  EXPECT_THAT(See(get)->reported_error(), StartsWith("begin session failed: no? answerxxx"));
  EXPECT_LT(See(get)->reported_error().size(), 1100u);
  // It works again.
  Host().Find(id)->clear_error();
  Host().Find(id)->clear_failed_verb();
  driver_.ReportAll();
  EXPECT_EQ(See(get)->reported_error(), "");
  EXPECT_THAT(See(explain)->steps(), Not(Contains(HasSubstr(" says: "))));
}

TEST_F(ViewsTest, WhatANewerAgentFailedAtIsShownToo) {
  Open(1, 4, 1);
  Come("jan");
  v1::GetDesktopRequest get;
  get.set_desktop(driver_.DesktopOf("jan")->id());
  Host().Find(get.desktop())->set_failed_verb(v1::CommandVerb(99));
  Host().Find(get.desktop())->set_error("no room");
  driver_.ReportAll();
  EXPECT_EQ(See(get)->reported_error(), "a command failed: no room");
}

TEST_F(ViewsTest, WhatWasWrongWithTheGenerationBeforeIsNotShown) {
  Open(1, 1, 1);
  v1::GetDesktopRequest get;
  get.set_desktop(driver_.fleet().desktops.begin()->key);
  v1::ExplainRequest explain;
  explain.set_id(get.desktop());
  Host().Find(get.desktop())->set_error("no room");
  driver_.ReportAll();
  ASSERT_EQ(See(get)->reported_error(), "no room");
  Host().stuck = true;
  v1::ResetDesktopRequest reset;
  reset.set_desktop(get.desktop());
  const auto answer = driver_.Call(driver_.Admin(), reset);
  ASSERT_TRUE(answer.ok()) << answer.status();
  driver_.Advance(absl::Seconds(2));
  ASSERT_GT(Desktop(get.desktop()).generation(), Host().Find(get.desktop())->generation());
  EXPECT_EQ(See(get)->reported_error(), "");
  EXPECT_THAT(See(explain)->steps(), Not(Contains(HasSubstr(" says: "))));
}

TEST_F(ViewsTest, OfASilentHostNothingIsShown) {
  Open(1, 4, 1);
  Come("jan");
  v1::GetDesktopRequest get;
  get.set_desktop(driver_.DesktopOf("jan")->id());
  v1::ExplainRequest explain;
  explain.set_id(get.desktop());
  Host().Find(get.desktop())->set_error("no room where its disk is");
  driver_.ReportAll();
  ASSERT_NE(See(get)->reported_error(), "");
  Host().silent = true;
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(See(get)->reported_error(), "");
  EXPECT_THAT(See(explain)->steps(), Not(Contains(HasSubstr("no room"))));
}

TEST_F(ViewsTest, Sessions) {
  Open(3, 4, 3);
  Come("jan");
  Come("piet");
  const std::string ended = driver_.SessionOf("piet")->id();
  ASSERT_TRUE(End("piet").ok());
  v1::ListSessionsRequest list;
  ASSERT_EQ(See(list)->sessions_size(), 1);
  EXPECT_EQ(See(list)->sessions(0).user(), "jan");
  EXPECT_FALSE(See(list)->sessions(0).has_explanation());
  list.set_ended(true);
  EXPECT_EQ(See(list)->sessions_size(), 2);
  list.set_user("piet");
  EXPECT_EQ(See(list)->sessions_size(), 1);
  list.set_pool("balie");
  EXPECT_EQ(See(list)->sessions_size(), 0);
  v1::GetSessionRequest get;
  get.set_session(ended);
  EXPECT_EQ(See(get)->end_reason(), "user");
  EXPECT_TRUE(See(get)->has_explanation());
  get.set_session("s-0");
  EXPECT_TRUE(absl::IsNotFound(See(get).status()));
}

TEST_F(ViewsTest, Hosts) {
  Open(2, 4, 2);
  const auto hosts = See(v1::ListHostsRequest());
  ASSERT_EQ(hosts->hosts_size(), 1);
  const v1::HostStatus& host = hosts->hosts(0);
  EXPECT_EQ(host.host(), "hv-a1");
  EXPECT_EQ(host.site(), "a");
  EXPECT_EQ(host.liveness(), v1::LIVENESS_UP);
  EXPECT_EQ(host.desktops(), 2u);
  EXPECT_EQ(host.starts_in_flight(), 0u);
  EXPECT_EQ(host.memory_committed_mib(), 2048u);
  EXPECT_EQ(host.memory_limit_mib(), 65536u - 6553u);
  EXPECT_GE(host.silent_ms(), 0);
  driver_.Restart();
  EXPECT_EQ(See(v1::ListHostsRequest())->hosts(0).silent_ms(), -1);
}

TEST_F(ViewsTest, Pools) {
  Open(2, 3, 2);
  Come("jan");
  driver_.Advance(absl::Seconds(2));
  Come("a");
  Come("b");
  Come("c");
  const auto pools = See(v1::ListPoolStatusRequest());
  ASSERT_EQ(pools->pools_size(), 1);
  const v1::PoolStatus& pool = pools->pools(0);
  EXPECT_EQ(pool.pool(), "kantoor");
  EXPECT_EQ(pool.desktops(), 3u);
  EXPECT_EQ(pool.assigned(), 3u);
  EXPECT_EQ(pool.spares(), 0u);
  EXPECT_EQ(pool.waiting(), 1u);
  EXPECT_EQ(pool.breaker(), "");
}

TEST_F(ViewsTest, TokensNeverShowTheirSeeds) {
  v1::EnrolTokenRequest enrol;
  for (const std::string user : {"a", "b", "c"}) {
    enrol.set_user(user);
    ASSERT_TRUE(driver_.Call(driver_.Admin(), enrol).ok());
  }
  v1::ListTokensRequest list;
  list.set_limit(2);
  const auto page = See(list);
  ASSERT_EQ(page->tokens_size(), 2);
  EXPECT_TRUE(page->more());
  EXPECT_EQ(page->tokens(0).state(), "pending");
  EXPECT_EQ(page->SerializeAsString().find("sealed"), std::string::npos);
}

TEST_F(ViewsTest, TokenStatesForPeople) {
  driver_.Enrol("jan");
  const auto state = [&] { return See(v1::ListTokensRequest())->tokens(0).state(); };
  EXPECT_EQ(state(), "active");
  const auto wrong = [&](int times) {
    for (int i = 0; i < times; ++i) {
      SignInChecked event = driver_.GoodSignIn("jan");
      event.matched_step = -1;
      driver_.Apply(event);
    }
  };
  wrong(5);
  EXPECT_EQ(state(), "paused");
  driver_.now += absl::Minutes(16);
  EXPECT_EQ(state(), "active");
  for (int i = 0; i < 3; ++i) {
    wrong(5);
    driver_.now += absl::Minutes(16);
  }
  EXPECT_EQ(state(), "stopped");
}

TEST_F(ViewsTest, SignInsWithoutTheirTokens) {
  const std::string token = driver_.SignIn("jan");
  driver_.SignIn("piet");
  v1::ListSignInsRequest list;
  list.set_user("jan");
  const auto page = See(list);
  ASSERT_EQ(page->sign_ins_size(), 1);
  EXPECT_EQ(page->sign_ins(0).peer(), "admin/desk-1");
  EXPECT_EQ(page->SerializeAsString().find(token), std::string::npos);
  list.clear_user();
  list.set_limit(1);
  EXPECT_TRUE(See(list)->more());
}

TEST_F(ViewsTest, Explain) {
  Open(1, 1, 1);
  const CallId call = Come("jan");
  ASSERT_TRUE(driver_.Last(call).has_ready());
  v1::ExplainRequest request;
  request.set_id(driver_.SessionOf("jan")->id());
  EXPECT_EQ(See(request)->decision(), "running spare");
  request.set_id(driver_.DesktopOf("jan")->id());
  EXPECT_EQ(See(request)->decision(), "running spare");
  const CallId refused = driver_.Connect(driver_.SignIn("piet"), "nowhere");
  request.set_id(driver_.Last(refused).refused().explain_id());
  EXPECT_EQ(See(request)->decision(), "refused: no-entitlement");
  request.set_id("x");
  EXPECT_TRUE(absl::IsNotFound(See(request).status()));
  request.set_id(driver_.DesktopOf("jan")->id());
  ASSERT_TRUE(End("jan").ok());
  EXPECT_EQ(See(request)->decision(), "Ready");
}

}  // namespace
}  // namespace werkplek
