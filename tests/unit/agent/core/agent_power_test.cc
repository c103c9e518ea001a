// Suspend, resume, stop, remove, and machines that go by themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;

class AgentPowerTest : public testing::Test {
 protected:
  void Start(uint64_t generation = 1) {
    agent_.Begin();
    agent_.Obey(v1::COMMAND_START, generation);
    agent_.Advance(absl::Seconds(2));
  }

  CoreHarness agent_;
};

TEST_F(AgentPowerTest, SuspendAndResume) {
  Start();
  agent_.Obey(v1::COMMAND_SUSPEND);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_SUSPENDED);
  EXPECT_TRUE(agent_.Desktop().has_proof());
  agent_.Obey(v1::COMMAND_SUSPEND);
  EXPECT_EQ(agent_.Started(OperationKind::kSuspend), 1u);
  agent_.Obey(v1::COMMAND_RESUME);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  agent_.Obey(v1::COMMAND_RESUME);
  EXPECT_EQ(agent_.Started(OperationKind::kResume), 1u);
}

TEST_F(AgentPowerTest, SuspendToDiskIsWokenByAStart) {
  AgentSettings settings;
  settings.suspend_to_disk = true;
  CoreHarness agent(settings);
  agent.Begin();
  agent.Obey(v1::COMMAND_START);
  agent.Advance(absl::Seconds(2));
  agent.Obey(v1::COMMAND_SUSPEND);
  EXPECT_EQ(agent.host.domains["kantoor-1"].power, DomainPower::kSaved);
  EXPECT_EQ(agent.Desktop().power(), v1::POWER_SUSPENDED);
  agent.Obey(v1::COMMAND_RESUME);
  EXPECT_EQ(agent.Desktop().power(), v1::POWER_RUNNING);
  // The kernel is the same, so is its boot id.
  EXPECT_EQ(agent.Desktop().proof().guest_boot_id(), "boot-1");
}

TEST_F(AgentPowerTest, AStopAsksKindlyThenHarder) {
  Start();
  agent_.host.stubborn = true;
  agent_.Obey(v1::COMMAND_STOP);
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_STOP);
  EXPECT_EQ(agent_.operations.back().mode, ShutdownMode::kGuestAgent);
  agent_.Advance(absl::Seconds(19));
  EXPECT_EQ(agent_.Started(OperationKind::kShutdown), 1u);
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Started(OperationKind::kShutdown), 2u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  agent_.Advance(absl::Seconds(20));
  EXPECT_EQ(agent_.Started(OperationKind::kShutdown), 3u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_UNSPECIFIED);
  std::vector<ShutdownMode> modes;
  for (const Operation& operation : agent_.operations) {
    if (operation.kind == OperationKind::kShutdown) modes.push_back(operation.mode);
  }
  EXPECT_THAT(modes,
              ElementsAre(ShutdownMode::kGuestAgent, ShutdownMode::kAcpi, ShutdownMode::kPowerOff));
}

TEST_F(AgentPowerTest, AKindStopIsSeenAsSoonAsItWorked) {
  Start();
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_EQ(agent_.Started(OperationKind::kShutdown), 1u);
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_UNSPECIFIED);
}

TEST_F(AgentPowerTest, AStopThatCannotEvenBeAskedGoesOnAtOnce) {
  Start();
  agent_.host.failures[OperationKind::kShutdown] = absl::UnavailableError("no guest agent");
  agent_.Obey(v1::COMMAND_STOP);
  EXPECT_EQ(agent_.Started(OperationKind::kShutdown), 3u);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_STOP);
  EXPECT_EQ(agent_.Desktop().error(), "no guest agent");
}

TEST_F(AgentPowerTest, ASuspendedDesktopIsWokenToShutDown) {
  Start();
  agent_.Obey(v1::COMMAND_SUSPEND);
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.Started(OperationKind::kResume), 1u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
}

TEST_F(AgentPowerTest, AResetDoesNotWaitForAStop) {
  Start();
  agent_.host.stubborn = true;
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Obey(v1::COMMAND_RESET, 2);
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().generation(), 2u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_UNSPECIFIED);
}

TEST_F(AgentPowerTest, AStopOfAnOlderDesktopIsObeyed) {
  Start(1);
  agent_.Obey(v1::COMMAND_STOP, 2);
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  EXPECT_EQ(agent_.Desktop().generation(), 1u);
}

TEST_F(AgentPowerTest, ADesktopWithoutRoomSaysSoAndIsResumedSlowly) {
  Start();
  const auto stop_inside = [this] {
    agent_.host.domains["kantoor-1"].power = DomainPower::kSuspended;
    agent_.host.domains["kantoor-1"].out_of_room = true;
    agent_.host.full = true;
    agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
    agent_.Advance(absl::Milliseconds(100));
  };
  stop_inside();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_SUSPENDED);
  EXPECT_EQ(agent_.Desktop().error(), kOutOfRoom);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_UNSPECIFIED) << "no order failed";
  // The broker wants it to run, and says so each second.
  for (int second = 0; second < 35; ++second) {
    agent_.Obey(v1::COMMAND_RESUME);
    agent_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(agent_.Started(OperationKind::kResume), 3u);
  EXPECT_EQ(agent_.Logged("out-of-room"), 1);
  agent_.host.full = false;
  agent_.Advance(absl::Seconds(10));
  agent_.Obey(v1::COMMAND_RESUME);
  agent_.Advance(absl::Seconds(20));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Desktop().error(), "");
  stop_inside();
  EXPECT_EQ(agent_.Logged("out-of-room"), 2) << "that is another time";
}

TEST_F(AgentPowerTest, RemoveLeavesNothing) {
  Start();
  agent_.Obey(v1::COMMAND_REMOVE);
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.Desktop().desktop(), "");
}

TEST_F(AgentPowerTest, ADomainThatVanishesIsNoLongerReported) {
  Start();
  agent_.host.domains.clear();
  agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  agent_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(agent_.Desktop().desktop(), "");
}

TEST_F(AgentPowerTest, ADesktopThatCrashedIsOff) {
  Start();
  agent_.host.domains["kantoor-1"].power = DomainPower::kOff;
  agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  agent_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  agent_.Obey(v1::COMMAND_START);
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Desktop().proof().guest_boot_id(), "boot-2");
}

}  // namespace
}  // namespace werkplek
