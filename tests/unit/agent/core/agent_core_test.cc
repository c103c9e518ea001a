// Commands, operations, proofs and what happens at a restart.
#include "agent/core/agent_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class AgentCoreTest : public testing::Test {
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

  CoreHarness agent_;
};

TEST_F(AgentCoreTest, StartMakesAFreshDesktopWithItsProof) {
  Start();
  const v1::DesktopReport desktop = agent_.Desktop();
  EXPECT_EQ(desktop.power(), v1::POWER_RUNNING);
  EXPECT_EQ(desktop.generation(), 1u);
  EXPECT_EQ(desktop.guest(), v1::GUEST_STATE_UP);
  EXPECT_EQ(desktop.proof().generation(), 1u);
  EXPECT_EQ(desktop.proof().overlay_identity(), "8:1");
  EXPECT_EQ(desktop.proof().overlay_created_unix_ns(), 1000);
  EXPECT_EQ(desktop.proof().backing_sha256(), kImageSha256);
  EXPECT_EQ(desktop.proof().guest_boot_id(), "boot-1");
  EXPECT_EQ(desktop.proof().domain_uuid(), agent_.host.domains["kantoor-1"].uuid);
  EXPECT_EQ(desktop.proof().domain_uuid().size(), 36u);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 1u);
}

TEST_F(AgentCoreTest, TheProofWaitsForTheGuestThatHasAnAgent) {
  agent_.held = {OperationKind::kReadGuest};
  Start();
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_FALSE(agent_.Desktop().has_proof());
  agent_.Release(OperationKind::kReadGuest);
  EXPECT_TRUE(agent_.Desktop().has_proof());
}

TEST_F(AgentCoreTest, AGuestWithoutAgentProvesWithoutBootId) {
  agent_.guest_agent = false;
  Start();
  EXPECT_TRUE(agent_.Desktop().has_proof());
  EXPECT_EQ(agent_.Desktop().proof().guest_boot_id(), "");
  EXPECT_FALSE(agent_.Desktop().guest_agent());
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_UNKNOWN);
  EXPECT_EQ(agent_.Started(OperationKind::kReadGuest), 0u);
}

TEST_F(AgentCoreTest, StartTwiceIsStartOnce) {
  Start();
  const size_t before = agent_.operations.size();
  agent_.Obey(v1::COMMAND_START);
  agent_.Obey(v1::COMMAND_START);
  EXPECT_EQ(agent_.operations.size(), before);
}

TEST_F(AgentCoreTest, StartIsRepeatedWhileItIsUnderWay) {
  agent_.held = {OperationKind::kCreate};
  agent_.Begin();
  for (int i = 0; i < 5; ++i) agent_.Obey(v1::COMMAND_START);
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_START);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_OFF);
  agent_.Release(OperationKind::kCreate);
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentCoreTest, ANewerGenerationGetsANewOverlay) {
  Start(1);
  const std::string first = agent_.Desktop().proof().overlay_identity();
  agent_.Obey(v1::COMMAND_START, 2);
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().generation(), 2u);
  EXPECT_NE(agent_.Desktop().proof().overlay_identity(), first);
  EXPECT_EQ(agent_.Desktop().proof().generation(), 2u);
}

TEST_F(AgentCoreTest, AnOlderGenerationIsRefusedAndCounted) {
  Start(3);
  for (int verb = v1::COMMAND_START; verb <= v1::COMMAND_CLOSE_DISPLAY; ++verb) {
    const size_t before = agent_.operations.size();
    agent_.Obey(agent_.Command(static_cast<v1::CommandVerb>(verb), 2));
    EXPECT_EQ(agent_.operations.size(), before) << verb;
  }
  EXPECT_EQ(agent_.CountOf("refused_commands", "old-generation"), 10);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentCoreTest, TheGenerationIsRememberedAfterTheDesktopHasGone) {
  Start(3);
  agent_.Obey(v1::COMMAND_REMOVE, 3);
  EXPECT_EQ(agent_.Desktop().desktop(), "");
  agent_.Obey(v1::COMMAND_START, 2);
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.CountOf("refused_commands", "old-generation"), 1);
}

TEST_F(AgentCoreTest, AnOlderEpochIsRefusedAndCounted) {
  agent_.Begin();
  agent_.epoch = 5;
  agent_.Obey(v1::COMMAND_HEARD);
  agent_.epoch = 4;
  agent_.Obey(v1::COMMAND_START);
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.CountOf("refused_commands", "old-epoch"), 1);
  EXPECT_EQ(agent_.core.Report().seen_epoch(), 5u);
}

TEST_F(AgentCoreTest, ANewEpochIsOnDiskBeforeItsCommandsAreObeyed) {
  agent_.Begin();
  agent_.epoch = 2;
  agent_.Apply(agent::CommandReceived{agent_.Command(v1::COMMAND_START)});
  agent_.Apply(agent::CommandReceived{agent_.Command(v1::COMMAND_START)});
  int persists = 0;
  for (const AgentEffect& effect : agent_.effects) {
    persists += std::holds_alternative<agent::PersistEpoch>(effect) ? 1 : 0;
    EXPECT_FALSE(std::holds_alternative<agent::StartOperation>(effect));
  }
  EXPECT_EQ(persists, 1);
  EXPECT_EQ(agent_.core.seen_epoch(), 1u);
  agent_.Settle();
  EXPECT_EQ(agent_.core.seen_epoch(), 2u);
  EXPECT_THAT(agent_.host.domains, SizeIs(1));
}

TEST_F(AgentCoreTest, AnEpochThatOvertakesTheWriteOfAnother) {
  agent_.Begin();
  agent_.epoch = 2;
  agent_.Apply(agent::CommandReceived{agent_.Command(v1::COMMAND_START)});
  agent_.epoch = 3;
  agent_.Apply(agent::CommandReceived{agent_.Command(v1::COMMAND_HEARD)});
  agent_.Settle();
  EXPECT_THAT(agent_.persisted, ElementsAre(2u, 3u));
  EXPECT_EQ(agent_.core.seen_epoch(), 3u);
  // The old leader's command waited too long.
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.CountOf("refused_commands", "old-epoch"), 1);
}

TEST_F(AgentCoreTest, AnEpochThatCannotBeWrittenIsNotObeyed) {
  agent_.Begin();
  agent_.epoch = 2;
  agent_.persist_status = absl::ResourceExhaustedError("disk full");
  agent_.Obey(v1::COMMAND_START);
  EXPECT_TRUE(agent_.host.domains.empty());
  EXPECT_EQ(agent_.core.seen_epoch(), 1u);
  agent_.persist_status = absl::OkStatus();
  agent_.Obey(v1::COMMAND_START);
  EXPECT_THAT(agent_.host.domains, SizeIs(1));
}

TEST_F(AgentCoreTest, CommandsThatWaitForTheDiskAreBounded) {
  AgentSettings settings;
  settings.max_waiting_commands = 3;
  CoreHarness agent(settings);
  agent.Begin();
  agent.epoch = 2;
  for (int i = 0; i < 10; ++i) {
    agent.Apply(agent::CommandReceived{agent.Command(v1::COMMAND_HEARD)});
  }
  agent.Settle();
  EXPECT_EQ(agent.CountOf("refused_commands", "too-many"), 7);
}

TEST_F(AgentCoreTest, NothingIsDoneBeforeTheHostIsKnown) {
  agent_.hold_lists = true;
  agent_.Begin();
  agent_.Obey(v1::COMMAND_START);
  EXPECT_TRUE(agent_.operations.empty());
  EXPECT_FALSE(agent_.reports.back().adopted());
  EXPECT_EQ(agent_.CountOf("refused_commands", "not-adopted"), 1);
  agent_.ApplyAndSettle(agent_.Observed(agent_.lists.back()));
  agent_.Advance(absl::Milliseconds(20));
  EXPECT_TRUE(agent_.reports.back().adopted());
}

TEST_F(AgentCoreTest, AFailedListAdoptsNothingAndIsRepeated) {
  agent_.hold_lists = true;
  agent_.Begin();
  agent_.ApplyAndSettle(
      agent::DomainsObserved{agent_.lists.back(), absl::UnavailableError("no libvirt"), {}});
  EXPECT_FALSE(agent_.core.adopted());
  agent_.Advance(absl::Seconds(1));
  EXPECT_THAT(agent_.lists, SizeIs(2));
}

TEST_F(AgentCoreTest, ResetTwiceIsResetOnce) {
  StartWithSession();
  agent_.Obey(v1::COMMAND_RESET, 2);
  agent_.Obey(v1::COMMAND_RESET, 2);
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 2u);
  agent_.Obey(v1::COMMAND_RESET, 2);
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 2u);
}

TEST_F(AgentCoreTest, ResetOfAUsedGenerationIsNeverTakenAsDone) {
  StartWithSession();
  agent_.Obey(v1::COMMAND_RESET, 1);
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 2u);
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().proof().overlay_identity(), "8:2");
}

TEST_F(AgentCoreTest, AFailedCreateIsReportedForItsGenerationAndLeavesNoProof) {
  StartWithSession();
  agent_.host.failures[OperationKind::kCreate] = absl::InternalError("no space");
  agent_.Obey(v1::COMMAND_RESET, 2);
  v1::DesktopReport desktop = agent_.Desktop();
  EXPECT_EQ(desktop.generation(), 2u);
  EXPECT_EQ(desktop.failed_verb(), v1::COMMAND_RESET);
  EXPECT_EQ(desktop.error(), "no space");
  EXPECT_EQ(desktop.power(), v1::POWER_OFF);
  EXPECT_FALSE(desktop.has_proof());
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 2u) << "the broker decides on a retry";
  agent_.host.failures.clear();
  agent_.Obey(v1::COMMAND_RESET, 2);
  agent_.Advance(absl::Seconds(2));
  desktop = agent_.Desktop();
  EXPECT_EQ(desktop.failed_verb(), v1::COMMAND_UNSPECIFIED);
  EXPECT_EQ(desktop.error(), "");
  EXPECT_TRUE(desktop.has_proof());
}

TEST_F(AgentCoreTest, OneOperationOfADesktopAtATime) {
  agent_.held = {OperationKind::kCreate, OperationKind::kSuspend};
  agent_.Begin();
  agent_.Obey(v1::COMMAND_START);
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Obey(v1::COMMAND_RESET, 2);
  EXPECT_THAT(agent_.open, SizeIs(1));
  agent_.Release(OperationKind::kCreate);
  EXPECT_THAT(agent_.open, SizeIs(1));
  EXPECT_EQ(agent_.open[0].tag.generation, 2u);
}

TEST_F(AgentCoreTest, OperationsOnTheHostAreBoundedAndServedInOrder) {
  AgentSettings settings;
  settings.max_operations = 2;
  CoreHarness agent(settings);
  agent.held = {OperationKind::kCreate};
  agent.Begin();
  for (const char* id : {"e", "d", "c", "b", "a"}) {
    v1::AgentCommand command = agent.Command(v1::COMMAND_START);
    command.set_desktop(id);
    agent.Obey(command);
  }
  std::vector<std::string> order;
  while (!agent.open.empty()) {
    EXPECT_LE(agent.open.size(), 2u);
    order.push_back(agent.open.front().desktop);
    agent.Release(OperationKind::kCreate);
  }
  EXPECT_THAT(order, ElementsAre("e", "d", "c", "b", "a"));
}

TEST_F(AgentCoreTest, AListFromBeforeAnOperationTellsNothing) {
  Start();
  agent_.hold_lists = true;
  agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  agent_.Advance(absl::Seconds(6));
  const agent::DomainsObserved old = agent_.Observed(agent_.lists.back());
  agent_.Obey(v1::COMMAND_SUSPEND);
  agent_.ApplyAndSettle(old);
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_SUSPENDED);
}

TEST_F(AgentCoreTest, BadCommandsAreRefusedWithTheField) {
  agent_.Begin();
  std::vector<v1::AgentCommand> bad(12, agent_.Command(v1::COMMAND_START));
  bad[0].set_desktop("../../etc/passwd");
  bad[1].set_desktop("");
  bad[2].set_generation(0);
  bad[3].mutable_spec()->set_memory_mib(0);
  bad[4].mutable_spec()->set_vcpus(0);
  bad[5].set_image_name("a/b");
  bad[6].mutable_image()->set_sha256("short");
  bad[7].set_verb(static_cast<v1::CommandVerb>(99));
  bad[8] = agent_.Command(v1::COMMAND_GRANT_TICKET);
  bad[8].mutable_ticket()->set_ticket_sha256("short");
  bad[9] = agent_.Command(v1::COMMAND_GRANT_TICKET);
  bad[9].mutable_ticket()->set_lifetime_ms(0);
  bad[10] = agent_.Command(v1::COMMAND_BEGIN_SESSION);
  bad[10].set_session("");
  bad[11] = agent_.Command(v1::COMMAND_BEGIN_SESSION);
  bad[11].set_user(std::string(10'000, 'x'));
  for (const v1::AgentCommand& command : bad) agent_.Obey(command);
  EXPECT_EQ(agent_.CountOf("refused_commands", "bad-command"), 12);
  EXPECT_TRUE(agent_.operations.empty());
}

TEST_F(AgentCoreTest, DesktopsAreBounded) {
  AgentSettings settings;
  settings.max_desktops = 2;
  CoreHarness agent(settings);
  agent.Begin();
  for (const char* id : {"a", "b", "c"}) {
    v1::AgentCommand command = agent.Command(v1::COMMAND_START);
    command.set_desktop(id);
    agent.Obey(command);
  }
  EXPECT_THAT(agent.host.domains, SizeIs(2));
  EXPECT_EQ(agent.CountOf("refused_commands", "too-many"), 1);
  // One that has gone makes room.
  v1::AgentCommand remove = agent.Command(v1::COMMAND_REMOVE);
  remove.set_desktop("a");
  agent.Obey(remove);
  v1::AgentCommand command = agent.Command(v1::COMMAND_START);
  command.set_desktop("c");
  agent.Obey(command);
  EXPECT_THAT(agent.host.domains, SizeIs(2));
}

TEST_F(AgentCoreTest, ReportsAreFullAndNotTooMany) {
  agent_.Begin();
  ASSERT_THAT(agent_.reports, testing::Not(IsEmpty()));
  agent_.Advance(absl::Milliseconds(50));
  const size_t before = agent_.reports.size();
  for (int i = 0; i < 200; ++i) {
    agent_.Obey(i % 2 == 0 ? v1::COMMAND_START : v1::COMMAND_STOP, static_cast<uint64_t>(i) + 1);
    agent_.Advance(absl::Milliseconds(1));
  }
  const size_t sent = agent_.reports.size() - before;
  EXPECT_LE(sent, 11u);
  EXPECT_GE(sent, 9u);
  for (size_t i = 1; i < agent_.reports.size(); ++i) {
    EXPECT_EQ(agent_.reports[i].sequence(), agent_.reports[i - 1].sequence() + 1);
    EXPECT_GE(agent_.report_times[i] - agent_.report_times[i - 1], absl::Milliseconds(20));
  }
}

TEST_F(AgentCoreTest, AQuietHostReportsAtTheIntervalThatTheBrokerSays) {
  agent_.Begin();
  agent_.Advance(absl::Seconds(1));
  size_t before = agent_.reports.size();
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.reports.size() - before, 10u);
  v1::AgentCommand heard = agent_.Command(v1::COMMAND_HEARD);
  heard.set_report_interval_ms(5'000);
  agent_.Obey(heard);
  before = agent_.reports.size();
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.reports.size() - before, 2u);
  heard.set_report_interval_ms(1);
  agent_.Obey(heard);
  before = agent_.reports.size();
  agent_.Advance(absl::Seconds(1));
  EXPECT_LE(agent_.reports.size() - before, 11u);
}

TEST_F(AgentCoreTest, NoReportWithoutALinkAndOneAtOnceWithIt) {
  agent_.Begin();
  agent_.ApplyAndSettle(agent::LinkDown{});
  const size_t before = agent_.reports.size();
  agent_.Obey(v1::COMMAND_START);
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.reports.size(), before);
  EXPECT_THAT(agent_.host.domains, SizeIs(1)) << "it works on";
  agent_.ApplyAndSettle(agent::LinkUp{});
  ASSERT_EQ(agent_.reports.size(), before + 1);
  EXPECT_THAT(agent_.reports.back().desktops(), SizeIs(1));
}

TEST_F(AgentCoreTest, ADelayedAnswerDoesNotMakeTheLoopSpin) {
  agent_.Begin();
  // Neither the list nor the statistics are answered.
  agent_.effects.clear();
  agent_.now += absl::Seconds(60);
  agent_.Apply(agent::Tick{});
  agent_.effects.clear();
  agent_.now += absl::Seconds(60);
  agent_.Apply(agent::Tick{});
  EXPECT_GT(agent_.wake_at, agent_.now);
}

}  // namespace
}  // namespace werkplek
