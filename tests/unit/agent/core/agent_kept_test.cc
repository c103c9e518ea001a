// Kept disks, shared storages, and moves to other hosts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

AgentSettings WithStorage() {
  AgentSettings settings;
  settings.storages = {"nfs-1", "nfs-2"};
  settings.lock_manager = "lockd";
  settings.migration_uri = "qemu+tls://hv-a1/system";
  return settings;
}

class AgentKeptTest : public testing::Test {
 protected:
  AgentKeptTest() : agent_(WithStorage()) {
    agent_.hears = true;
    agent_.storages = {"nfs-1"};
  }
  void StartKept(const std::string& storage = "") {
    agent_.Begin();
    agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, 1, storage));
    agent_.Advance(absl::Seconds(2));
    ASSERT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  }

  CoreHarness agent_;
};

TEST_F(AgentKeptTest, AResetMakesItWithAProof) {
  StartKept();
  EXPECT_TRUE(agent_.Desktop().has_proof());
  EXPECT_TRUE(agent_.host.domains["kantoor-1"].tag.kept);
  EXPECT_TRUE(agent_.host.domains["kantoor-1"].tag.fencing_required);
}

TEST_F(AgentKeptTest, AStartTakesTheDiskThatIsThereIntoTheNextGeneration) {
  StartKept();
  const std::string uuid = agent_.host.domains["kantoor-1"].uuid;
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_START, 2));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(agent_.Desktop().generation(), 2u);
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_UP);
  EXPECT_FALSE(agent_.Desktop().has_proof()) << "nobody says that it is clean";
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(agent_.host.domains["kantoor-1"].uuid, uuid) << "the same machine to its guest";
}

TEST_F(AgentKeptTest, AStartWithoutADiskFailsAndMakesNone) {
  agent_.Begin();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_START));
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_START);
  EXPECT_EQ(agent_.Desktop().error(), "its disk is not here");
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 0u);
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 0u);
}

TEST_F(AgentKeptTest, ARepeatedResetNeverTakesAUsedDisk) {
  StartKept();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET));
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_RESET);
  EXPECT_THAT(agent_.Desktop().error(), HasSubstr("needs a newer generation"));
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, 2));
  agent_.Advance(absl::Seconds(2));
  EXPECT_EQ(agent_.Desktop().proof().generation(), 2u);
}

TEST_F(AgentKeptTest, AResetInTheGenerationOfAStartIsNone) {
  StartKept();
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(1));
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_START, 2));
  agent_.Advance(absl::Seconds(2));
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, 2));
  EXPECT_EQ(agent_.Started(OperationKind::kCreate), 1u);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_RESET);
}

TEST_F(AgentKeptTest, StoragesLockManagerAndMigrationAreReported) {
  agent_.Begin();
  v1::AgentReport report = agent_.core.Report();
  EXPECT_THAT(report.storages(), ElementsAre("nfs-1"));
  EXPECT_EQ(report.lock_manager(), "lockd");
  EXPECT_EQ(report.migration_uri(), "qemu+tls://hv-a1/system");
  agent_.storages = {"nfs-1", "nfs-2"};
  agent_.Advance(absl::Seconds(6));
  report = agent_.core.Report();
  EXPECT_THAT(report.storages(), ElementsAre("nfs-1", "nfs-2"));
  // One that hangs takes all with it: nobody knows which.
  agent_.answers_storages = false;
  agent_.Advance(absl::Seconds(20));
  report = agent_.core.Report();
  EXPECT_THAT(report.storages(), IsEmpty());
}

TEST_F(AgentKeptTest, AStorageThatIsNotAtHandIsSaid) {
  agent_.Begin();
  agent_.Obey(agent_.KeptCommand(v1::COMMAND_RESET, 1, "nfs-2"));
  EXPECT_EQ(agent_.Desktop().error(), "storage nfs-2 is not at hand on this host");
  EXPECT_EQ(agent_.Started(OperationKind::kFetchImage), 0u);
}

TEST_F(AgentKeptTest, TheImageIsFetchedToTheStorage) {
  StartKept("nfs-1");
  ASSERT_EQ(agent_.Started(OperationKind::kFetchImage), 1u);
  for (const Operation& operation : agent_.operations) {
    if (operation.kind == OperationKind::kFetchImage) {
      EXPECT_EQ(operation.storage, "nfs-1");
    }
  }
  const v1::AgentReport report = agent_.core.Report();
  EXPECT_THAT(report.images(), IsEmpty()) << "it is not on the host's own disk";
}

TEST_F(AgentKeptTest, AMoveGoesAndIsTold) {
  StartKept("nfs-1");
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  ASSERT_EQ(agent_.Present(1), agent::TicketAnswer::kGranted);
  agent_.held = {OperationKind::kMigrate};
  agent_.Obey(agent_.MoveCommand());
  EXPECT_THAT(agent_.cut, ElementsAre(1u));
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_MIGRATE);
  EXPECT_EQ(agent_.Desktop().moving_to(), "hv-a2");
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_NE(agent_.Present(2), agent::TicketAnswer::kGranted);
  agent_.Release(OperationKind::kMigrate);
  EXPECT_EQ(agent_.Desktop().desktop(), "");
  EXPECT_EQ(agent_.host.moved["kantoor-1"].tag.session, "session-1");
}

TEST_F(AgentKeptTest, AMoveThatFailsLeavesItRunning) {
  StartKept("nfs-1");
  agent_.host.failures[OperationKind::kMigrate] = absl::InternalError("cannot connect");
  agent_.Obey(agent_.MoveCommand());
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_MIGRATE);
  EXPECT_EQ(agent_.Desktop().moving_to(), "");
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
}

TEST_F(AgentKeptTest, AMoveWhoseAnswerIsLostIsToldAsUnderWayUntilItIsSeen) {
  StartKept("nfs-1");
  agent_.host.failures[OperationKind::kMigrate] = absl::UnavailableError("no connection");
  agent_.host.domains["kantoor-1"].moving = true;
  agent_.Apply(agent::CommandReceived{agent_.MoveCommand()});
  agent_.Settle();
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_MIGRATE);
  agent_.Advance(absl::Seconds(20));
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_MIGRATE) << "it is still being moved";
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Desktop().session(), "") << "it waits for the end of the move";
  agent_.host.domains["kantoor-1"].moving = false;
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.Desktop().operation(), v1::COMMAND_UNSPECIFIED);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
}

TEST_F(AgentKeptTest, OnlyWhatStandsOnSharedStorageMoves) {
  StartKept();
  agent_.Obey(agent_.MoveCommand());
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_MIGRATE);
  EXPECT_THAT(agent_.Desktop().error(), HasSubstr("of this host alone"));
}

TEST_F(AgentKeptTest, MovesAreJudgedAndTheirNumberIsBounded) {
  StartKept("nfs-1");
  v1::AgentCommand nowhere = agent_.MoveCommand();
  nowhere.set_move_to("hv-a1");
  agent_.Obey(nowhere);
  nowhere.set_move_to("");
  agent_.Obey(nowhere);
  nowhere = agent_.MoveCommand();
  nowhere.clear_migration_uri();
  agent_.Obey(nowhere);
  EXPECT_EQ(agent_.CountOf("refused_commands", "bad-command"), 3);
  v1::AgentCommand second = agent_.KeptCommand(v1::COMMAND_RESET, 1, "nfs-1");
  second.set_desktop("kantoor-2");
  agent_.Obey(second);
  agent_.Advance(absl::Seconds(2));
  agent_.held = {OperationKind::kMigrate};
  agent_.Obey(agent_.MoveCommand());
  v1::AgentCommand move = agent_.MoveCommand();
  move.set_desktop("kantoor-2");
  agent_.Obey(move);
  EXPECT_EQ(agent_.Started(OperationKind::kMigrate), 1u);
  EXPECT_EQ(agent_.Desktop("kantoor-2").moving_to(), "hv-a2") << "it waits in line";
  agent_.Release(OperationKind::kMigrate);
  EXPECT_EQ(agent_.Started(OperationKind::kMigrate), 2u);
}

TEST_F(AgentKeptTest, WhatArrivesIsAdoptedWithItsSession) {
  StartKept("nfs-1");
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(agent_.MoveCommand());
  CoreHarness target(WithStorage());
  target.hears = true;
  target.Begin();
  target.Advance(absl::Seconds(1));
  target.host.domains["kantoor-1"] = agent_.host.moved["kantoor-1"];
  target.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  target.Advance(absl::Seconds(1));
  EXPECT_EQ(target.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_EQ(target.Desktop().session(), "session-1");
  EXPECT_EQ(target.Desktop().viewer(), v1::VIEWER_GONE);
}

TEST_F(AgentKeptTest, ARemoveLooksOnlyWhereTheDiskIs) {
  StartKept("nfs-1");
  agent_.Obey(v1::COMMAND_REMOVE, 3);
  ASSERT_EQ(agent_.operations.back().kind, OperationKind::kRemove);
  EXPECT_EQ(agent_.operations.back().tag.generation, 3u);
  EXPECT_THAT(agent_.operations.back().storages, ElementsAre("nfs-1"));
}

}  // namespace
}  // namespace werkplek
