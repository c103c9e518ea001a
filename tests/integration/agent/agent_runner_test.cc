// Desktops, sessions, restarts and epochs through a whole agent.
#include "agent/program/agent_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/agent/agent_harness.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

class AgentRunnerTest : public AgentTest {};

TEST_F(AgentRunnerTest, ADesktopIsStartedProvedAndTold) {
  StartAgent();
  StartSession();
  const v1::AgentReport report = broker_->report();
  EXPECT_EQ(report.host(), "hv-a1");
  EXPECT_EQ(report.seen_epoch(), 1u);
  EXPECT_THAT(report.relays(), ElementsAre(absl::StrCat("127.0.0.1:", runner_->relay_port())));
  EXPECT_GT(report.load().disk_free_mib(), 0u);
  EXPECT_EQ(report.desktops(0).guest(), v1::GUEST_STATE_SESSION);
  EXPECT_FALSE(report.desktops(0).has_proof());
  EXPECT_EQ(hypervisor_.ReadGuestFile("kantoor-1", "/run/werkplek/user"), "jan\n");
  EXPECT_EQ(*ReadEpochFile(pki_.folder() + "/epoch"), 1u);
}

TEST_F(AgentRunnerTest, ALogOutInsideIsReported) {
  StartAgent();
  StartSession();
  hypervisor_.LogOutInside("kantoor-1");
  EXPECT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.guest() == v1::GUEST_STATE_LOGGED_OUT;
  }));
}

TEST_F(AgentRunnerTest, AResetGivesAFreshOverlayWithItsProof) {
  StartAgent();
  StartSession();
  broker_->Send(Command(v1::COMMAND_RESET, "kantoor-1", 2));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.generation() == 2 && report.has_proof();
  }));
  const v1::DesktopReport report = broker_->report().desktops(0);
  EXPECT_EQ(report.session(), "");
  EXPECT_EQ(report.proof().overlay_identity(), "8:2");
  EXPECT_EQ(hypervisor_.ReadGuestFile("kantoor-1", "/run/werkplek/user"), "");
}

TEST_F(AgentRunnerTest, ANewRunAdoptsWhatIsThereAndTouchesNothing) {
  StartAgent();
  StartSession();
  broker_->Send(Command(v1::COMMAND_START, "kantoor-2"));
  ASSERT_TRUE(broker_->WaitForDesktop(
      "kantoor-2", [](const v1::DesktopReport& report) { return report.has_proof(); }));
  const v1::ProofOfCleanness proof = broker_->report().desktops(1).proof();
  const std::vector<std::string> before = hypervisor_.Journal();
  StartAgent();
  ASSERT_TRUE(broker_->WaitForDesktop(
      "kantoor-2", [](const v1::DesktopReport& report) { return report.has_proof(); }));
  const v1::AgentReport report = broker_->report();
  ASSERT_EQ(report.desktops_size(), 2);
  EXPECT_EQ(report.desktops(0).session(), "session-1");
  EXPECT_FALSE(report.desktops(0).has_proof());
  EXPECT_EQ(report.desktops(1).proof().SerializeAsString(), proof.SerializeAsString());
  // The broker says again what it wants.
  broker_->Send(Command(v1::COMMAND_START, "kantoor-1"));
  broker_->Send(Command(v1::COMMAND_START, "kantoor-2"));
  broker_->Send(Command(v1::COMMAND_SUSPEND, "kantoor-2"));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-2", [](const v1::DesktopReport& desktop) {
    return desktop.power() == v1::POWER_SUSPENDED;
  }));
  std::vector<std::string> after = hypervisor_.Journal();
  after.erase(after.begin(), after.begin() + static_cast<int64_t>(before.size()));
  EXPECT_THAT(after, ElementsAre("suspend kantoor-2"));
}

TEST_F(AgentRunnerTest, AnAgentThatDiedInTheMiddleOfAResetMakesItAnew) {
  StartAgent();
  StartSession();
  // The old domain went, the new one was never made.
  hypervisor_.FailNext(FakeHypervisor::Call::kCreate, "kantoor-1",
                       absl::UnavailableError("the agent was killed"));
  broker_->Send(Command(v1::COMMAND_RESET, "kantoor-1", 2));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.failed_verb() == v1::COMMAND_RESET;
  }));
  StartAgent();
  EXPECT_EQ(broker_->report().desktops_size(), 0);
  broker_->Send(Command(v1::COMMAND_RESET, "kantoor-1", 2));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.generation() == 2 && report.has_proof();
  }));
}

TEST_F(AgentRunnerTest, AnOlderEpochIsRefusedAlsoAfterARestart) {
  StartAgent();
  epoch_ = 7;
  broker_->Send(Command(v1::COMMAND_HEARD));
  ASSERT_TRUE(
      broker_->WaitFor([](const v1::AgentReport& report) { return report.seen_epoch() == 7; }));
  EXPECT_EQ(*ReadEpochFile(pki_.folder() + "/epoch"), 7u);
  StartAgent();
  EXPECT_EQ(broker_->report().seen_epoch(), 7u);
  epoch_ = 6;
  broker_->Send(Command(v1::COMMAND_START, "kantoor-1"));
  epoch_ = 7;
  broker_->Send(Command(v1::COMMAND_START, "kantoor-2"));
  ASSERT_TRUE(broker_->WaitForDesktop(
      "kantoor-2", [](const v1::DesktopReport& report) { return report.has_proof(); }));
  EXPECT_THAT(hypervisor_.Journal(), Not(Contains("create kantoor-1")));
}

TEST_F(AgentRunnerTest, ABrokerThatGoesAndComesBackIsFoundAgain) {
  StartAgent();
  StartSession();
  broker_.reset();
  hypervisor_.PowerOffInside("kantoor-1");
  broker_ = std::make_unique<TestBroker>(broker_files_, broker_port_);
  // What happened meanwhile is in the first full report.
  EXPECT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.power() == v1::POWER_OFF;
  }));
}

TEST_F(AgentRunnerTest, AHypervisorThatGoesAndComesBackLosesNothing) {
  StartAgent();
  StartSession();
  hypervisor_.SetConnected(false);
  broker_->Send(Command(v1::COMMAND_SUSPEND));
  ASSERT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.failed_verb() == v1::COMMAND_SUSPEND;
  }));
  EXPECT_EQ(broker_->report().desktops(0).session(), "session-1");
  hypervisor_.SetConnected(true);
  broker_->Send(Command(v1::COMMAND_SUSPEND));
  EXPECT_TRUE(broker_->WaitForDesktop("kantoor-1", [](const v1::DesktopReport& report) {
    return report.power() == v1::POWER_SUSPENDED && report.error().empty();
  }));
}

TEST_F(AgentRunnerTest, ManyDesktopsAtOnceAllCome) {
  StartAgent();
  for (int i = 0; i < 40; ++i) {
    broker_->Send(Command(v1::COMMAND_START, absl::StrCat("kantoor-", i)));
  }
  EXPECT_TRUE(broker_->WaitFor([](const v1::AgentReport& report) {
    int proved = 0;
    for (const v1::DesktopReport& desktop : report.desktops()) proved += desktop.has_proof();
    return proved == 40;
  }));
}

}  // namespace
}  // namespace werkplek
