// What a new run of the agent makes of the host that an earlier run left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

class AgentRestartTest : public testing::Test {
 protected:
  void Start(uint64_t generation = 1) {
    agent_.Begin();
    agent_.Obey(v1::COMMAND_START, generation);
    agent_.Advance(absl::Seconds(2));
  }

  void StartWithSession() {
    Start();
    agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  }

  // A new run over the same host.
  CoreHarness Restarted() {
    CoreHarness next({}, agent_.core.seen_epoch());
    next.host = agent_.host;
    next.now = agent_.now;
    return next;
  }

  CoreHarness agent_;
};

TEST_F(AgentRestartTest, EveryDomainIsReAdoptedAndNoneIsTouched) {
  Start();
  CoreHarness next = Restarted();
  next.Begin();
  next.Advance(absl::Seconds(2));
  EXPECT_TRUE(next.core.adopted());
  EXPECT_EQ(next.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(next.Desktop().proof().SerializeAsString(),
            agent_.Desktop().proof().SerializeAsString());
  // The broker repeats what it wants: nothing is started twice.
  next.Obey(v1::COMMAND_START);
  for (const Operation& operation : next.operations) {
    EXPECT_EQ(operation.kind, OperationKind::kReadGuest);
  }
}

TEST_F(AgentRestartTest, ADomainThatCannotBeReadIsAsItWasLastKnown) {
  Start();
  const std::string before = agent_.Desktop().SerializeAsString();
  DomainInfo unread;
  unread.tag.desktop = "kantoor-1";
  unread.unread = "the monitor is busy";
  const DomainInfo there = std::exchange(agent_.host.domains["kantoor-1"], unread);
  agent_.Advance(absl::Seconds(20));
  EXPECT_EQ(agent_.Desktop().SerializeAsString(), before);
  EXPECT_EQ(agent_.Logged("domain-unread"), 1);
  // The others are seen all the while.
  v1::AgentCommand other = agent_.Command(v1::COMMAND_START);
  other.set_desktop("kantoor-2");
  agent_.Obey(other);
  agent_.host.domains["kantoor-2"].power = DomainPower::kOff;
  agent_.Advance(absl::Seconds(6));
  EXPECT_EQ(agent_.Desktop("kantoor-2").power(), v1::POWER_OFF);
  agent_.host.domains["kantoor-1"] = there;
  agent_.host.domains["kantoor-1"].power = DomainPower::kOff;
  agent_.Advance(absl::Seconds(6));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
}

TEST_F(AgentRestartTest, NothingIsAdoptedBeforeEachDomainWasRead) {
  Start();
  CoreHarness next = Restarted();
  next.host.domains["kantoor-1"].unread = "the monitor is busy";
  next.Begin();
  next.Advance(absl::Seconds(3));
  EXPECT_FALSE(next.core.adopted());
  EXPECT_EQ(next.Logged("domain-unread"), 1);
  next.host.domains["kantoor-1"].unread.clear();
  next.Advance(absl::Seconds(1));
  EXPECT_TRUE(next.core.adopted());
  EXPECT_EQ(next.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentRestartTest, AMoveThatAnEarlierRunBeganIsTold) {
  Start();
  agent_.host.domains["kantoor-1"].moving = true;
  CoreHarness next = Restarted();
  next.Begin();
  EXPECT_EQ(next.Desktop().operation(), v1::COMMAND_MIGRATE);
  EXPECT_EQ(next.Desktop().power(), v1::POWER_RUNNING);
  // The broker asks for it again, since it does not know either: nothing is begun beside it.
  next.Obey(next.MoveCommand());
  next.Advance(absl::Seconds(10));
  EXPECT_EQ(next.host.moved.count("kantoor-1"), 0u);
  // Gone, as it should be.
  next.host.domains.erase("kantoor-1");
  next.Advance(absl::Seconds(10));
  EXPECT_NE(next.Desktop().operation(), v1::COMMAND_MIGRATE);
}

TEST_F(AgentRestartTest, AUsedDesktopIsStillUsed) {
  StartWithSession();
  EXPECT_FALSE(agent_.Desktop().has_proof());
  CoreHarness next = Restarted();
  next.Begin();
  next.Advance(absl::Seconds(5));
  EXPECT_FALSE(next.Desktop().has_proof());
  EXPECT_EQ(next.Desktop().session(), "session-1");
  EXPECT_EQ(next.Desktop().guest(), v1::GUEST_STATE_SESSION);
  // Its viewer went with the relay.
  EXPECT_EQ(next.Desktop().viewer(), v1::VIEWER_GONE);
}

TEST_F(AgentRestartTest, AResetThatWasCutAfterTheDomainWentIsDoneAnew) {
  StartWithSession();
  agent_.host.domains.clear();
  CoreHarness next = Restarted();
  next.Begin();
  EXPECT_EQ(next.Desktop().desktop(), "");
  next.Obey(v1::COMMAND_RESET, 2);
  next.Advance(absl::Seconds(2));
  EXPECT_EQ(next.Desktop().proof().generation(), 2u);
  EXPECT_EQ(next.Started(OperationKind::kCreate), 1u);
}

TEST_F(AgentRestartTest, AResetThatNeverBeganLeavesTheOldGenerationWithoutProof) {
  StartWithSession();
  CoreHarness next = Restarted();
  next.Begin();
  EXPECT_EQ(next.Desktop().generation(), 1u);
  EXPECT_FALSE(next.Desktop().has_proof());
  next.Obey(v1::COMMAND_RESET, 2);
  next.Advance(absl::Seconds(2));
  EXPECT_EQ(next.Desktop().proof().generation(), 2u);
  EXPECT_NE(next.Desktop().proof().overlay_identity(), "8:1");
}

TEST_F(AgentRestartTest, AResetThatWasCutBeforeTheFirstBootIsDoneAnew) {
  Start(2);
  agent_.host.domains["kantoor-1"].power = DomainPower::kOff;
  CoreHarness next = Restarted();
  next.Begin();
  next.Obey(v1::COMMAND_RESET, 2);
  EXPECT_EQ(next.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(next.Started(OperationKind::kStart), 0u);
}

}  // namespace
}  // namespace werkplek
