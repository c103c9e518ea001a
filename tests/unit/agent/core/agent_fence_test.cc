// The fence: what must not run twice stops when no leader was heard in time, and stays dead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class AgentFenceTest : public testing::Test {
 protected:
  // A dedicated desktop that runs, made by a RESET, with a leader that hears every report.
  void StartKept(uint64_t generation = 1) {
    agent_.hears = true;
    agent_.Begin();
    agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, generation));
    agent_.Advance(absl::Seconds(2));
    ASSERT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  }
  // Nobody hears for as long as it takes.
  void LoseLeader() {
    agent_.hears = false;
    agent_.Advance(absl::Seconds(12));
  }

  CoreHarness agent_;
};

TEST_F(AgentFenceTest, WithALeaderItRunsOn) {
  StartKept();
  agent_.Advance(absl::Minutes(1));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Started(OperationKind::kKill), 0u);
  EXPECT_EQ(agent_.core.Report().fence_after_ms(), 10'000u);
}

TEST_F(AgentFenceTest, WithoutOneItIsKilledMarkedAndTold) {
  StartKept();
  LoseLeader();
  EXPECT_EQ(agent_.host.domains["kantoor-1"].power, DomainPower::kOff);
  EXPECT_TRUE(agent_.host.domains["kantoor-1"].tag.fenced);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_TRUE(agent_.Desktop().fenced());
  EXPECT_EQ(agent_.Started(OperationKind::kKill), 1u);
}

TEST_F(AgentFenceTest, TheDeadlineCountsFromTheSendingOfTheReportThatWasHeard) {
  StartKept();
  agent_.hears = false;
  agent_.Advance(absl::Seconds(1));
  const v1::AgentReport report = agent_.reports.back();
  const absl::Duration sent = agent_.report_times.back();
  // The answer takes its time, and more reports go meanwhile.
  agent_.Advance(absl::Seconds(5));
  agent_.Obey(agent_.HeardCommand(report.sequence()));
  agent_.Advance(sent + absl::Milliseconds(9'990) - agent_.now);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  agent_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
}

TEST_F(AgentFenceTest, AnAnswerToAnOldReportWinsNothing) {
  StartKept();
  agent_.hears = false;
  const uint64_t old = agent_.reports.back().sequence();
  agent_.Advance(absl::Seconds(9));
  agent_.Obey(agent_.HeardCommand(old));
  agent_.Obey(agent_.HeardCommand(old + 1'000));
  agent_.Obey(agent_.HeardCommand(0));
  agent_.Advance(absl::Seconds(2));
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, AFencedGenerationStaysDeadAlsoAfterARestart) {
  StartKept();
  LoseLeader();
  CoreHarness next({}, agent_.core.seen_epoch(), agent_.saved_heard);
  next.host = agent_.host;
  next.now = agent_.now;
  next.hears = true;
  next.Begin();
  EXPECT_TRUE(next.Desktop().fenced());
  for (const v1::CommandVerb verb : {v1::COMMAND_START, v1::COMMAND_RESET, v1::COMMAND_RESUME}) {
    next.Obey(next.KeptCommand(verb));
  }
  next.Obey(next.MoveCommand());
  EXPECT_EQ(next.CountOf("refused_commands", "fenced"), 4);
  EXPECT_EQ(next.Desktop().power(), v1::POWER_OFF);
  next.Obey(next.KeptCommand(v1::COMMAND_START, 2));
  next.Advance(absl::Seconds(2));
  EXPECT_EQ(next.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(next.Desktop().generation(), 2u);
  EXPECT_FALSE(next.Desktop().fenced());
}

TEST_F(AgentFenceTest, ADomainThatCannotBeReadKeepsNoOtherFromItsFence) {
  StartKept();
  CoreHarness next({}, agent_.core.seen_epoch(), agent_.saved_heard);
  next.host = agent_.host;
  next.now = agent_.now;
  DomainInfo unread = next.host.domains["kantoor-1"];
  unread.tag.desktop = "kantoor-2";
  unread.unread = "the tag is damaged";
  next.host.domains["kantoor-2"] = unread;
  next.Begin();
  next.Advance(absl::Minutes(1));
  EXPECT_FALSE(next.core.adopted());
  EXPECT_EQ(next.host.domains["kantoor-1"].power, DomainPower::kOff);
}

TEST_F(AgentFenceTest, AnAgentThatWasKilledJudgesByTheOldDeadline) {
  StartKept();
  const absl::Duration deadline = agent_.saved_heard.heard_at + agent_.saved_heard.fence_after;
  ASSERT_GT(deadline, agent_.now);
  CoreHarness next({}, agent_.core.seen_epoch(), agent_.saved_heard);
  next.host = agent_.host;
  next.now = agent_.now + absl::Seconds(5);
  next.Begin();
  next.Advance(absl::Seconds(1));
  EXPECT_EQ(next.Desktop().power(), v1::POWER_RUNNING);
  next.Advance(deadline - next.now);
  EXPECT_EQ(next.Desktop().power(), v1::POWER_OFF);
}

TEST_F(AgentFenceTest, WithoutAMemoryTheDeadlineIsNow) {
  StartKept();
  CoreHarness next({}, agent_.core.seen_epoch());
  next.host = agent_.host;
  next.now = agent_.now;
  next.Begin();
  EXPECT_TRUE(next.Desktop().fenced());
  EXPECT_EQ(next.core.Report().fence_after_ms(), 0u);
}

TEST_F(AgentFenceTest, AFrozenAgentFencesBeforeItObeysWhatWaited) {
  StartKept();
  agent_.Advance(absl::Seconds(1));
  agent_.hears = false;
  // Stopped for half a minute; then what was on the line is read, newest answer included.
  agent_.now += absl::Seconds(30);
  agent_.Apply(agent::CommandReceived{agent_.HeardCommand(agent_.reports.back().sequence())});
  agent_.Settle();
  EXPECT_EQ(agent_.host.domains["kantoor-1"].power, DomainPower::kOff);
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, WhatNeedsNoFenceRunsOn) {
  agent_.hears = true;
  agent_.Begin();
  agent_.Obey(v1::COMMAND_START);
  agent_.Advance(absl::Seconds(2));
  LoseLeader();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Started(OperationKind::kKill), 0u);
}

TEST_F(AgentFenceTest, ASuspendedDesktopIsFencedToo) {
  StartKept();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_SUSPEND));
  ASSERT_EQ(agent_.Desktop().power(), v1::POWER_SUSPENDED);
  LoseLeader();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, ASavedOneIsMarkedAndNeverWoken) {
  AgentSettings settings;
  settings.suspend_to_disk = true;
  CoreHarness agent(settings);
  agent.hears = true;
  agent.Begin();
  agent.Obey(agent.KeptCommand(v1::COMMAND_RESET));
  agent.Advance(absl::Seconds(2));
  agent.Obey(agent.KeptCommand(v1::COMMAND_SUSPEND));
  agent.hears = false;
  agent.Advance(absl::Seconds(12));
  EXPECT_TRUE(agent.Desktop().fenced());
  agent.hears = true;
  agent.Advance(absl::Seconds(2));
  agent.Obey(v1::COMMAND_STOP);
  agent.Advance(absl::Seconds(2));
  EXPECT_EQ(agent.Started(OperationKind::kStart), 0u);
  EXPECT_EQ(agent.Desktop().power(), v1::POWER_OFF);
}

TEST_F(AgentFenceTest, AnOperationThatHangsDoesNotHoldTheFence) {
  StartKept();
  agent_.held = {OperationKind::kBeginSession};
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  ASSERT_EQ(agent_.open.size(), 1u);
  LoseLeader();
  EXPECT_EQ(agent_.host.domains["kantoor-1"].power, DomainPower::kOff);
  // Marked as soon as the hanging one lets go; off it is at once.
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  agent_.host.failures[OperationKind::kBeginSession] = absl::UnavailableError("it is off");
  agent_.Release(OperationKind::kBeginSession);
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, AKillThatFailsIsTriedAgain) {
  StartKept();
  agent_.host.failures[OperationKind::kKill] = absl::DeadlineExceededError("it hangs");
  LoseLeader();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_FALSE(agent_.Desktop().fenced());
  EXPECT_GE(agent_.Started(OperationKind::kKill), 2u);
  // A leader that is heard again changes nothing: it may have counted on the fence.
  agent_.hears = true;
  agent_.Advance(absl::Seconds(2));
  agent_.host.failures.clear();
  agent_.Advance(absl::Seconds(2));
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, AMarkThatFailsIsTriedAgainAndOnlyThenTold) {
  StartKept();
  agent_.host.failures[OperationKind::kMarkFenced] = absl::UnavailableError("libvirt hangs");
  LoseLeader();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_FALSE(agent_.Desktop().fenced());
  agent_.host.failures.clear();
  agent_.Advance(absl::Seconds(2));
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, AStartUnderWayAtTheDeadlineNeverRuns) {
  agent_.hears = true;
  agent_.Begin();
  agent_.held = {OperationKind::kCreate};
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  ASSERT_EQ(agent_.open.size(), 1u);
  LoseLeader();
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_RESET);
  agent_.hears = true;
  agent_.Advance(absl::Seconds(2));
  agent_.Release(OperationKind::kCreate);
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_RESET);
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  EXPECT_EQ(agent_.CountOf("refused_commands", "fenced"), 1);
  agent_.held.clear();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, 2));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentFenceTest, AStartThatCameThroughAfterTheDeadlineIsKilledAllTheSame) {
  agent_.hears = true;
  agent_.Begin();
  agent_.held = {OperationKind::kCreate};
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  // It runs already, but the agent has not heard of it.
  const Operation operation = agent_.open.front();
  const OperationResult result = agent_.host.Run(operation, agent_.now);
  LoseLeader();
  agent_.hears = true;
  agent_.Advance(absl::Seconds(1));
  agent_.ApplyAndSettle(agent::OperationDone{result});
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.host.domains["kantoor-1"].power, DomainPower::kOff);
  EXPECT_TRUE(agent_.Desktop().fenced());
}

TEST_F(AgentFenceTest, NothingThatMustBeFencedStartsBeforeALeaderIsHeard) {
  agent_.Begin();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  EXPECT_EQ(agent_.CountOf("refused_commands", "not-heard"), 1);
  EXPECT_TRUE(agent_.host.domains.empty());
}

TEST_F(AgentFenceTest, AStartWhoseOutcomeIsNotKnownIsToldAsUnderWay) {
  StartKept();
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  agent_.host.failures[OperationKind::kStartKept] = absl::DeadlineExceededError("libvirt hangs");
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_START, 2));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_START);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_START);
  agent_.host.failures.clear();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_START, 2));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_UNSPECIFIED);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentFenceTest, ADesktopThatArrivesAtACutOffHostIsFencedThere) {
  StartKept();
  DomainInfo moved = agent_.host.domains["kantoor-1"];
  CoreHarness target;
  target.hears = true;
  target.Begin();
  target.hears = false;
  target.Advance(absl::Seconds(12));
  target.host.domains["kantoor-1"] = moved;
  target.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  target.Advance(absl::Seconds(1));
  EXPECT_TRUE(target.Desktop().fenced());
}

}  // namespace
}  // namespace werkplek
