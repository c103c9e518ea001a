// Fences: a kept desktop of a silent host starts elsewhere only when no copy of it can run.
#include "broker/core/fences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/views.h"
#include "broker/model/kept.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

BrokerSettings WithCommand() {
  BrokerSettings settings;
  settings.fence_command = true;
  return settings;
}

class FencesTest : public Municipality {
 protected:
  explicit FencesTest(BrokerSettings settings = {}) { driver_ = Driver(settings); }

  // Three hosts, so that one of them is a single loss; jan works on one of them.
  void JanWorks(const std::string& storage, v1::PoolKind kind = v1::POOL_KIND_DEDICATED) {
    Open(0, 4, 0, [&](v1::Pool& pool) {
      pool.set_kind(kind);
      pool.set_storage(storage);
      pool.set_fencing(v1::FENCING_REQUIRED);
    });
    for (const std::string host : {"hv-a2", "hv-a3"}) {
      driver_.Create(MakeHost(host));
      driver_.AddHost(host);
    }
    for (auto& [name, host] : driver_.hosts) {
      if (!storage.empty()) host.AttachStorage();
    }
    driver_.Advance(absl::Seconds(2));
    const CallId call = Come("jan");
    driver_.Advance(absl::Seconds(20));
    ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
    id_ = driver_.DesktopOf("jan")->id();
    home_ = driver_.DesktopOf("jan")->host();
  }
  const v1::Desktop& Jans() { return Desktop(id_); }
  FakeHost& Home() { return Host(home_); }
  // The agent stops everything by itself, as it does when it hears no leader.
  void AgentFences() {
    for (auto& desktop : *Home().report().mutable_desktops()) {
      desktop.set_power(v1::POWER_OFF);
      desktop.set_fenced(true);
    }
  }
  std::string Shown() {
    v1::GetDesktopRequest request;
    request.set_desktop(id_);
    BrokerSettings settings;
    return View({driver_.fleet(), settings, driver_.now}, request)->fence();
  }
  absl::Status OverrideBy(const std::string& token_sha256, uint64_t generation,
                          const std::string& reason) {
    v1::OverrideFenceRequest request;
    request.set_desktop(id_);
    request.set_generation(generation);
    request.set_reason(reason);
    return driver_.Call(token_sha256, request).status();
  }
  absl::Status Override(uint64_t generation, const std::string& reason) {
    return OverrideBy(driver_.Admin(), generation, reason);
  }
  size_t Asked() {
    size_t asked = 0;
    for (const Effect& effect : driver_.effects()) {
      asked += std::holds_alternative<FenceHost>(effect) ? 1 : 0;
    }
    return asked;
  }

  std::string id_;
  std::string home_;
};

TEST_F(FencesTest, AgentsAreToldTheTimeAndItStandsInTheRecord) {
  JanWorks("san");
  EXPECT_EQ(driver_.Commands(v1::COMMAND_HEARD).back().fence_after_ms(), 10'000u);
  EXPECT_EQ(Jans().fence_after_ms(), 10'000u);
}

TEST_F(FencesTest, TimeFencesAndItStartsElsewhereAtTheNextGeneration) {
  JanWorks("san");
  const uint64_t before = Jans().generation();
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_LOST);
  EXPECT_THAT(Shown(),
              HasSubstr("unknown: host " + home_ + " is silent; its agent has stopped it"));
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_queued()) << driver_.Last(call).ShortDebugString();
  EXPECT_THAT(driver_.Last(call).ShortDebugString(), HasSubstr("unknown: host"));
  EXPECT_EQ(Jans().host(), home_);
  driver_.Advance(absl::Seconds(5));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_NE(Jans().host(), home_);
  EXPECT_EQ(Jans().generation(), before + 1);
  EXPECT_EQ(Jans().fenced_generation(), before);
  EXPECT_EQ(Jans().fenced_by(), "time");
  EXPECT_EQ(driver_.Counted("fences", "time"), 1u);
}

TEST_F(FencesTest, NotAMomentBeforeTheArithmeticSays) {
  JanWorks("san");
  driver_.ReportAll();
  const absl::Time last = driver_.now;
  Home().silent = true;
  Come("jan");
  while (Jans().fenced_generation() == 0) {
    ASSERT_LT(driver_.now - last, absl::Seconds(20));
    EXPECT_EQ(Jans().host(), home_);
    driver_.Advance(absl::Milliseconds(250));
  }
  EXPECT_GE(driver_.now - last, absl::Seconds(15));
  EXPECT_LE(driver_.now - last, absl::Milliseconds(15'500));
}

TEST_F(FencesTest, ANewLeaderCountsFromItsOwnStartAndTheLeaseBeforeIt) {
  JanWorks("san");
  Home().silent = true;
  driver_.Advance(absl::Seconds(9));
  driver_.Restart();
  const absl::Time began = driver_.now;
  while (Jans().fenced_generation() == 0) {
    ASSERT_LT(driver_.now - began, absl::Seconds(30));
    driver_.Advance(absl::Milliseconds(250));
  }
  EXPECT_GE(driver_.now - began, absl::Seconds(20));
  EXPECT_EQ(Jans().fenced_by(), "time");
}

TEST_F(FencesTest, AnAgentThatWaitsLongerOrDoesNotSayIsNotFencedByTime) {
  JanWorks("san");
  // Another broker was configured otherwise, or the agent is too old to say.
  for (const uint32_t after_ms : {0u, 60'000u}) {
    v1::Desktop desktop = Jans();
    desktop.set_fence_after_ms(after_ms);
    desktop.set_state(v1::DESKTOP_STATE_LOST);
    Fleet fleet = driver_.fleet();
    fleet.host_soft.Put(home_, std::make_shared<const HostSoft>());
    const FenceVerdict verdict =
        FenceOf(fleet, {}, desktop, absl::InfinitePast(), 0, driver_.now + absl::Hours(1));
    EXPECT_FALSE(verdict.sure()) << after_ms;
    EXPECT_EQ(verdict.sure_at, absl::InfiniteFuture());
  }
}

TEST_F(FencesTest, TheAgentsOwnWordFences) {
  JanWorks("san");
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  ASSERT_EQ(Jans().state(), v1::DESKTOP_STATE_LOST);
  AgentFences();
  Home().silent = false;
  driver_.Apply(AgentAttached{home_, Home().link});
  driver_.Advance(absl::Seconds(1));
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(Jans().fenced_by(), "agent");
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
}

TEST_F(FencesTest, WhatRunsOnWhenItsHostIsBackIsThereForItsOwner) {
  JanWorks("san");
  const uint64_t generation = Jans().generation();
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  Home().silent = false;
  driver_.Advance(absl::Seconds(1));
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_READY);
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_ready());
  EXPECT_EQ(Jans().generation(), generation);
}

TEST_F(FencesTest, WithoutSharedStorageItWaitsForItsHostAndSaysSo) {
  JanWorks("");
  Home().silent = true;
  driver_.Advance(absl::Seconds(12));
  const CallId call = Come("jan");
  EXPECT_EQ(driver_.Last(call).refused().rule(), "host-silent");
  EXPECT_THAT(driver_.Last(call).ShortDebugString(), HasSubstr("its disk is on that host alone"));
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(Jans().host(), home_);
}

TEST_F(FencesTest, AnAdministratorsWordFencesAndIsWrittenDown) {
  JanWorks("san");
  EXPECT_EQ(Override(Jans().generation(), "pulled").code(), absl::StatusCode::kFailedPrecondition);
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  EXPECT_EQ(Override(Jans().generation() + 1, "pulled").code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Override(Jans().generation(), "").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Override(Jans().generation(), "the plug is in my hand").ok());
  EXPECT_EQ(Jans().fenced_by(), "admin:beheer");
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_OFF);
  bool told = false;
  for (const v1::AuditRecord& record : driver_.audit()) {
    told = told || (record.action() == "fence-override" && record.actor() == "admin:beheer");
  }
  EXPECT_TRUE(told);
}

TEST_F(FencesTest, AnOverrideNeedsAFreshSignIn) {
  JanWorks("san");
  driver_.Advance(absl::Minutes(5));
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  const absl::Status stale = Override(Jans().generation(), "the plug is in my hand");
  EXPECT_EQ(stale.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(stale.message()), HasSubstr("within 5m of signing in"));
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_LOST);
  const std::string fresh = driver_.SignIn("beheer", {v1::ROLE_ADMINISTRATOR});
  EXPECT_TRUE(OverrideBy(fresh, Jans().generation(), "the plug is in my hand").ok());
}

TEST_F(FencesTest, ALateStartIsNoProofThatItIsOff) {
  JanWorks("san");
  // It failed once; the second of two starts may be under way.
  Home().start_error = "no";
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(2));
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.Last(call).refused().rule(), "start-failed");
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_OFF);
  EXPECT_FALSE(IsFencedOff(Jans()));
  driver_.Advance(absl::Seconds(16));
  EXPECT_TRUE(IsFencedOff(Jans()));
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(again).has_ready()) << driver_.Last(again).ShortDebugString();
  EXPECT_NE(Jans().host(), home_) << "where it failed is not tried first";
}

TEST_F(FencesTest, AFloatingFencedDesktopIsReplacedOnlyAfterTheFence) {
  JanWorks("", v1::POOL_KIND_FLOATING);
  Home().silent = true;
  driver_.Advance(absl::Seconds(12));
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  const CallId call = Come("jan");
  EXPECT_EQ(driver_.DesktopOf("jan")->id(), id_);
  driver_.Advance(absl::Seconds(6));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_NE(driver_.DesktopOf("jan")->id(), id_);
}

class FenceCommandTest : public FencesTest {
 protected:
  FenceCommandTest() : FencesTest(WithCommand()) {}
  const FenceHost& LastAsked() {
    const FenceHost* last = nullptr;
    for (const Effect& effect : driver_.effects()) {
      if (const auto* asked = std::get_if<FenceHost>(&effect)) last = asked;
    }
    return *last;
  }
};

TEST_F(FenceCommandTest, ConfirmsEarlierThanTime) {
  JanWorks("san");
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  ASSERT_EQ(Asked(), 1u);
  const FenceHost asked = LastAsked();
  EXPECT_EQ(asked.host, home_);
  driver_.Apply(HostFenced{home_, asked.asked, absl::OkStatus()});
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(Jans().fenced_by(), "fence command");
}

TEST_F(FenceCommandTest, FailuresAreRetriedWithBackOffAndShown) {
  JanWorks("san");
  // Only the command can make it sure.
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  ASSERT_EQ(Asked(), 1u);
  driver_.Apply(
      HostFenced{home_, LastAsked().asked, absl::UnavailableError("no route to the PDU")});
  EXPECT_THAT(Shown(), HasSubstr("switching the host off failed: no route to the PDU"));
  EXPECT_EQ(driver_.Counted("fence_commands", "failed"), 1u);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Asked(), 1u) << "not at once";
}

TEST_F(FenceCommandTest, AHostThatAnswersAgainWasNotSwitchedOff) {
  JanWorks("san");
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  const FenceHost asked = LastAsked();
  Home().silent = false;
  driver_.Advance(absl::Seconds(1));
  driver_.Apply(HostFenced{home_, asked.asked, absl::OkStatus()});
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_READY);
  // Silent once more: what was asked before that says nothing.
  Home().silent = true;
  driver_.Advance(absl::Seconds(11));
  EXPECT_EQ(Jans().state(), v1::DESKTOP_STATE_LOST);
}

TEST_F(FenceCommandTest, NothingIsSwitchedOffForADesktopThatCanStartNowhereElse) {
  JanWorks("");
  Home().silent = true;
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(Asked(), 0u);
}

}  // namespace
}  // namespace werkplek
