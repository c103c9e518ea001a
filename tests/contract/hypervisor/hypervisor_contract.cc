#include "tests/contract/hypervisor/hypervisor_contract.h"

#include <poll.h>
#include <unistd.h>

namespace werkplek {
namespace {

using absl::StatusCode;
using testing::IsEmpty;

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(HypervisorContract);

TEST_P(HypervisorContract, AHostWithoutDesktopsListsNone) {
  const auto all = hv().List();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, IsEmpty());
}

TEST_P(HypervisorContract, ACreatedDesktopRunsAndIsListedAsMade) {
  const DomainSpec spec = Make("d1");
  const DomainInfo info = Info("d1");
  EXPECT_TRUE(info.tag == spec.tag);
  EXPECT_EQ(info.uuid, spec.uuid);
  EXPECT_EQ(info.power, DomainPower::kRunning);
  EXPECT_EQ(info.memory_mib, spec.memory_mib);
  EXPECT_EQ(info.vcpus, spec.vcpus);
  EXPECT_EQ(info.disk, spec.disk);
  EXPECT_EQ(info.guest_agent, spec.guest_agent);
}

TEST_P(HypervisorContract, ADesktopIsMadeOnce) {
  const DomainSpec first = Make("d1");
  DomainSpec second = kit_->Spec("d1", 99);
  second.tag.generation = 8;
  EXPECT_EQ(hv().Create(second).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Info("d1").uuid, first.uuid);
  EXPECT_EQ(Info("d1").tag.generation, 7u);
}

TEST_P(HypervisorContract, ADesktopWithoutANameIsRefused) {
  DomainSpec spec = kit_->Spec("d1", 1);
  spec.tag.desktop = "";
  EXPECT_EQ(hv().Create(spec).code(), StatusCode::kInvalidArgument);
}

TEST_P(HypervisorContract, AnUnknownDesktopIsNotFound) {
  EXPECT_EQ(hv().Start("d9").code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Suspend("d9", false).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Suspend("d9", true).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Resume("d9").code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Shutdown("d9", ShutdownMode::kPowerOff).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Remove("d9").code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Retag(PlainSpec("d9", 1).tag).code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().OpenDisplay("d9", DisplayKind::kVnc).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().GuestExec("d9", {"true"}, "", absl::Seconds(1)).status().code(),
            StatusCode::kNotFound);
}

TEST_P(HypervisorContract, SuspendAndResumeMayBeRepeated) {
  Make("d1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
    EXPECT_EQ(Info("d1").power, DomainPower::kSuspended);
  }
  EXPECT_EQ(hv().Start("d1").code(), StatusCode::kFailedPrecondition);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(hv().Resume("d1"), absl::OkStatus());
    EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
  }
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
}

TEST_P(HypervisorContract, SavedToDiskAndBack) {
  const DomainSpec spec = Make("d1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
    EXPECT_EQ(Info("d1").power, DomainPower::kSaved);
  }
  EXPECT_EQ(hv().Resume("d1").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Suspend("d1", false).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
  EXPECT_TRUE(Info("d1").tag == spec.tag);
}

TEST_P(HypervisorContract, ASuspendedDesktopMayBeSaved) {
  Make("d1");
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
}

TEST_P(HypervisorContract, ATagChangedWhileSavedOutlivesTheRestore) {
  DomainTag tag = Make("d1").tag;
  EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
  tag.session = "s-2";
  tag.used = true;
  EXPECT_EQ(hv().Retag(tag), absl::OkStatus());
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
}

TEST_P(HypervisorContract, PoweredOffAtOnceAndStartedAgain) {
  Make("d1");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
    EXPECT_EQ(Info("d1").power, DomainPower::kOff);
  }
  EXPECT_EQ(hv().Suspend("d1", false).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Suspend("d1", true).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Resume("d1").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
}

TEST_P(HypervisorContract, PowerOffDropsSavedAndSuspendedMemory) {
  Make("d1");
  EXPECT_EQ(hv().Suspend("d1", true), absl::OkStatus());
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kOff);
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kAcpi).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kOff);
}

TEST_P(HypervisorContract, OnlyWhatIsOffIsRemoved) {
  Make("d1");
  Make("d2");
  EXPECT_EQ(hv().Remove("d1").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  EXPECT_EQ(hv().Remove("d1").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_EQ(hv().Remove("d1"), absl::OkStatus());
  EXPECT_EQ(hv().Remove("d1").code(), StatusCode::kNotFound);
  EXPECT_EQ(hv().Suspend("d2", true), absl::OkStatus());
  EXPECT_EQ(hv().Remove("d2"), absl::OkStatus());
  EXPECT_THAT(*hv().List(), IsEmpty());
  // Nothing of the saved memory is left for the next of that name.
  Make("d2");
  EXPECT_EQ(hv().Shutdown("d2", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_EQ(Info("d2").power, DomainPower::kOff);
}

TEST_P(HypervisorContract, TagsAreKeptInEveryState) {
  DomainTag tag = Make("d1").tag;
  tag.session = "s <&>\"'";
  tag.used = true;
  tag.generation = 18446744073709551615u;
  EXPECT_EQ(hv().Retag(tag), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
  tag.session = "";
  EXPECT_EQ(hv().Retag(tag), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
}

TEST_P(HypervisorContract, TheMarksOfTheFenceAreKept) {
  DomainTag tag = Make("d1").tag;
  tag.kept = true;
  tag.fencing_required = true;
  tag.storage = "nfs-1";
  EXPECT_EQ(hv().Retag(tag), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
  EXPECT_EQ(hv().Kill("d1", Info("d1").uuid), absl::OkStatus());
  tag.fenced = true;
  EXPECT_EQ(hv().Retag(tag), absl::OkStatus());
  EXPECT_TRUE(Info("d1").tag == tag);
}

TEST_P(HypervisorContract, AKillTakesWhatIsMeantAndMayBeRepeated) {
  const DomainSpec spec = Make("d1");
  EXPECT_EQ(hv().Kill("d1", "00000000-0000-4000-8000-00000000dead"), absl::OkStatus());
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning) << "another machine was meant";
  EXPECT_EQ(hv().Kill("d9", spec.uuid.substr(0, 35) + "f"), absl::OkStatus());
  EventCollector events(hv());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(hv().Kill("d1", spec.uuid), absl::OkStatus());
    while (Info("d1").power != DomainPower::kOff) {
      ASSERT_TRUE(events.Wait(HypervisorEvent::Kind::kLifecycle, "d1"));
      events.Clear();
    }
  }
  EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  events.Clear();
  EXPECT_EQ(hv().Kill("d1", spec.uuid), absl::OkStatus());
  while (Info("d1").power != DomainPower::kOff) {
    ASSERT_TRUE(events.Wait(HypervisorEvent::Kind::kLifecycle, "d1"));
    events.Clear();
  }
}

TEST_P(HypervisorContract, AMoveThatCannotBeLeavesItAsItWas) {
  const std::string nowhere = "qemu+tcp://127.0.0.1:9/system";
  EXPECT_EQ(hv().Migrate("d9", nowhere).code(), StatusCode::kNotFound);
  Make("d1");
  EXPECT_FALSE(hv().Migrate("d1", nowhere).ok());
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_EQ(hv().Migrate("d1", nowhere).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Info("d1").power, DomainPower::kOff);
}

TEST_P(HypervisorContract, AMovedDesktopIsThereAndNotHere) {
  if (kit_->other() == nullptr) GTEST_SKIP() << "no other host here";
  size_t moved = 0;
  for (const DomainPower power :
       {DomainPower::kRunning, DomainPower::kSuspended, DomainPower::kSaved}) {
    const std::string desktop = absl::StrCat("d", ++moved);
    const DomainSpec spec = Make(desktop);
    if (power != DomainPower::kRunning) {
      EXPECT_EQ(hv().Suspend(desktop, power == DomainPower::kSaved), absl::OkStatus());
    }
    EXPECT_EQ(hv().Migrate(desktop, kit_->other_uri()), absl::OkStatus());
    const auto there = kit_->other()->List();
    ASSERT_TRUE(there.ok()) << there.status();
    ASSERT_EQ(there->size(), moved);
    EXPECT_TRUE(there->back().tag == spec.tag);
    EXPECT_EQ(there->back().power,
              power == DomainPower::kRunning ? DomainPower::kRunning : DomainPower::kSuspended);
    EXPECT_THAT(*hv().List(), IsEmpty());
  }
}

TEST_P(HypervisorContract, EveryChangeOfPowerIsTold) {
  EventCollector events(hv());
  const auto told = [&] { return events.Wait(HypervisorEvent::Kind::kLifecycle, "d1"); };
  Make("d1");
  EXPECT_TRUE(told());
  events.Clear();
  EXPECT_EQ(hv().Suspend("d1", false), absl::OkStatus());
  EXPECT_TRUE(told());
  events.Clear();
  EXPECT_EQ(hv().Resume("d1"), absl::OkStatus());
  EXPECT_TRUE(told());
  events.Clear();
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  EXPECT_TRUE(told());
  events.Clear();
  EXPECT_EQ(hv().Remove("d1"), absl::OkStatus());
  EXPECT_TRUE(told());
}

TEST_P(HypervisorContract, DisplaysOfWhatRuns) {
  if (!kit_->has_displays()) GTEST_SKIP() << "no displays here";
  EventCollector events(hv());
  Make("d1");
  const auto fd = hv().OpenDisplay("d1", DisplayKind::kSpice);
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_TRUE(events.Wait(HypervisorEvent::Kind::kGraphicsConnected, "d1"));
  close(*fd);
  const auto second = hv().OpenDisplay("d1", DisplayKind::kVnc);
  ASSERT_TRUE(second.ok()) << second.status();
  // The display goes with the power.
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kPowerOff), absl::OkStatus());
  pollfd watched = {*second, POLLIN, 0};
  EXPECT_EQ(poll(&watched, 1, 10000), 1);
  close(*second);
  EXPECT_EQ(hv().OpenDisplay("d1", DisplayKind::kVnc).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_P(HypervisorContract, WithoutAGuestAgentNothingRunsInside) {
  DomainSpec spec = kit_->Spec("d1", 1);
  spec.guest_agent = false;
  ASSERT_EQ(hv().Create(spec), absl::OkStatus());
  EXPECT_FALSE(Info("d1").guest_agent);
  EXPECT_FALSE(Info("d1").guest_agent_connected);
  EXPECT_EQ(hv().GuestExec("d1", {"true"}, "", absl::Seconds(2)).status().code(),
            StatusCode::kUnavailable);
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kGuestAgent).code(), StatusCode::kUnavailable);
}

TEST_P(HypervisorContract, AGuestThatIsAskedToShutDownGoesOff) {
  if (!kit_->has_guests()) GTEST_SKIP() << "no guests here";
  EventCollector events(hv());
  Make("d1");
  for (int i = 0; i < 3; ++i) {
    while (!Info("d1").guest_agent_connected) {
      ASSERT_TRUE(events.Wait(HypervisorEvent::Kind::kGuestAgent, "d1"));
      events.Clear();
    }
    // It may be off before its agent's answer is read: asked is asked.
    EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kGuestAgent), absl::OkStatus());
    while (Info("d1").power != DomainPower::kOff) {
      ASSERT_TRUE(events.Wait(HypervisorEvent::Kind::kLifecycle, "d1"));
      events.Clear();
    }
    EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kGuestAgent), absl::OkStatus());
    EXPECT_EQ(hv().Start("d1"), absl::OkStatus());
  }
}

TEST_P(HypervisorContract, AnAgentThatNeverCameIsUnavailable) {
  DomainSpec spec = kit_->Spec("d1", 1);
  if (spec.kernel.empty()) GTEST_SKIP() << "no real guests here";
  // A guest that finds no program to start with: its agent's channel is there, the agent is not.
  spec.kernel_arguments = "rdinit=/none init=/none";
  ASSERT_EQ(hv().Create(spec), absl::OkStatus());
  EXPECT_EQ(hv().Shutdown("d1", ShutdownMode::kGuestAgent).code(), StatusCode::kUnavailable);
  EXPECT_FALSE(Info("d1").guest_agent_connected);
  EXPECT_EQ(Info("d1").power, DomainPower::kRunning);
}

TEST_P(HypervisorContract, TheHostHasMemoryAndProcessors) {
  const auto stats = hv().Stats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_GT(stats->memory_total_mib, 0u);
  EXPECT_LE(stats->memory_free_mib, stats->memory_total_mib);
  EXPECT_GT(stats->cpus, 0u);
  EXPECT_GE(stats->cpu_used, 0);
  EXPECT_LE(stats->cpu_used, 1);
}

TEST_P(HypervisorContract, TheGuestRunsProgramsThroughItsAgent) {
  if (!kit_->has_guests()) GTEST_SKIP() << "no guests here";
  EventCollector events(hv());
  Make("d1");
  // The event says to look, not what is to be seen.
  while (!Info("d1").guest_agent_connected) {
    ASSERT_TRUE(events.Wait(HypervisorEvent::Kind::kGuestAgent, "d1"));
    events.Clear();
  }
  const std::string hook = "/usr/lib/werkplek/session-hook";
  const auto begin = hv().GuestExec("d1", {hook, "begin"},
                                    "session=s-1\nuser=jan.devries\ndisplay_name=Jan de Vries\n",
                                    absl::Seconds(20));
  ASSERT_TRUE(begin.ok()) << begin.status();
  EXPECT_EQ(begin->exit_code, 0) << begin->output;
  const auto state = hv().GuestExec("d1", {hook, "state"}, "", absl::Seconds(20));
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_THAT(state->output, testing::MatchesRegex("boot_id=[0-9a-f-]{36}\n"
                                                   "session=s-1\nstate=session\n"));
  const auto wrong = hv().GuestExec("d1", {hook, "dance"}, "", absl::Seconds(20));
  ASSERT_TRUE(wrong.ok()) << wrong.status();
  EXPECT_EQ(wrong->exit_code, 2);
}

}  // namespace
}  // namespace werkplek
