// Each kind of operation on the fake hypervisor, and what a failure in its middle leaves.
#include "agent/operation/run_operation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Call = FakeHypervisor::Call;

class RunOperationTest : public testing::Test {
 protected:
  RunOperationTest() {
    images_.fetch = [this](const std::string& storage, const std::string& name, const v1::Image&) {
      calls_.push_back(absl::StrCat("fetch ", storage, name));
      return image_status_;
    };
    images_.report = [](const std::string&) {
      v1::ImageReport report;
      report.set_image("tiny");
      return std::vector<v1::ImageReport>{report};
    };
    images_.create_overlay = [this](const DiskKey& disk,
                                    const std::string& sha256) -> absl::StatusOr<Overlay> {
      calls_.push_back(absl::StrCat("overlay ", disk.desktop, " ", disk.generation));
      if (!image_status_.ok()) return image_status_;
      return Overlay{absl::StrCat("/o/", disk.desktop, ".", disk.generation),
                     absl::StrCat("8:", disk.generation),
                     static_cast<int64_t>(disk.generation) * 10, sha256};
    };
    images_.take_disk = [this](const DiskKey& disk) -> absl::StatusOr<std::string> {
      calls_.push_back(absl::StrCat("take ", disk.desktop, " ", disk.generation));
      if (!image_status_.ok()) return image_status_;
      return absl::StrCat("/s/", disk.desktop);
    };
    images_.remove_overlays = [this](const DiskKey& disk, const std::string& except) {
      calls_.push_back(absl::StrCat("clear ", disk.storage, disk.desktop, " but ", except));
      return image_status_;
    };
    images_.drop = [this](const std::string& storage, const std::string& name) {
      calls_.push_back(absl::StrCat("drop ", storage, name));
      return image_status_;
    };
    images_.hand_over = [this](const DiskKey& disk, const std::string& host) {
      calls_.push_back(absl::StrCat("deed ", disk.desktop, " to ", host));
      return image_status_;
    };
    images_.take_back = [this](const DiskKey& disk) {
      calls_.push_back(absl::StrCat("deed ", disk.desktop, " back"));
      return image_status_;
    };
  }

  Operation New(OperationKind kind) {
    Operation operation;
    operation.id = ++last_id_;
    operation.kind = kind;
    operation.desktop = "d1";
    operation.tag.desktop = "d1";
    operation.tag.generation = 1;
    operation.uuid = "00000000-0000-8000-8000-000000000001";
    operation.spec.set_memory_mib(192);
    operation.spec.set_vcpus(1);
    operation.image_name = "tiny";
    operation.image.set_sha256("digest");
    operation.image.set_guest_agent(true);
    operation.session = "s1";
    operation.user = "jan";
    operation.display_name = "Jan de Vries";
    operation.tell_guest = true;
    return operation;
  }

  OperationResult Run(const Operation& operation) {
    OperationResult result = RunOperation(operation, hypervisor_, images_, [this] { return now_; });
    EXPECT_EQ(result.id, operation.id);
    return result;
  }
  OperationResult Run(OperationKind kind) { return Run(New(kind)); }

  DomainInfo Domain() {
    const auto domains = hypervisor_.List();
    EXPECT_TRUE(domains.ok() && domains->size() == 1);
    return domains.ok() && domains->size() == 1 ? (*domains)[0] : DomainInfo();
  }

  FakeHypervisor hypervisor_;
  ImageFunctions images_;
  absl::Status image_status_;
  std::vector<std::string> calls_;
  uint64_t last_id_ = 0;
  absl::Duration now_ = absl::Seconds(100);
};

TEST_F(RunOperationTest, CreateMakesTheNewOverlayBeforeTheOldGoes) {
  const OperationResult result = Run(OperationKind::kCreate);
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(calls_, ElementsAre("overlay d1 1", "clear d1 but /o/d1.1"));
  const DomainInfo domain = Domain();
  EXPECT_EQ(domain.power, DomainPower::kRunning);
  EXPECT_EQ(domain.disk, "/o/d1.1");
  EXPECT_EQ(domain.tag.overlay_identity, "8:1");
  EXPECT_EQ(domain.tag.overlay_created_unix_ns, 10);
  EXPECT_EQ(domain.tag.backing_sha256, "digest");
  EXPECT_EQ(result.tag.overlay_identity, "8:1");
  EXPECT_EQ(domain.memory_mib, 192u);
  EXPECT_TRUE(domain.guest_agent);
}

TEST_F(RunOperationTest, CreateReplacesWhateverIsThere) {
  for (const bool off : {false, true}) {
    ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
    ASSERT_TRUE(Run(OperationKind::kBeginSession).status.ok());
    if (off) hypervisor_.PowerOffInside("d1");
    Operation again = New(OperationKind::kCreate);
    again.tag.generation = 2;
    // What the tag says of the session before is not carried over.
    again.tag.used = true;
    again.tag.session = "s1";
    ASSERT_TRUE(Run(again).status.ok());
    EXPECT_EQ(Domain().tag.generation, 2u);
    EXPECT_FALSE(Domain().tag.used);
    EXPECT_EQ(Domain().tag.session, "");
  }
}

TEST_F(RunOperationTest, CreateWithoutAnImageLeavesNoDomain) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  image_status_ = absl::NotFoundError("not fetched");
  calls_.clear();
  const OperationResult result = Run(OperationKind::kCreate);
  EXPECT_EQ(result.status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(calls_, ElementsAre("overlay d1 1", "fetch tiny"))
      << "once more, not again and again";
  EXPECT_EQ(result.images.size(), 1u) << "what is at hand is told";
  EXPECT_THAT(*hypervisor_.List(), IsEmpty());
}

TEST_F(RunOperationTest, ADomainThatCannotBeRemovedKeepsItsOverlay) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  calls_.clear();
  hypervisor_.FailNext(Call::kRemove, "d1", absl::InternalError("busy"));
  EXPECT_EQ(Run(OperationKind::kRemove).status.message(), "busy");
  EXPECT_THAT(calls_, IsEmpty());
  // That one was powered off already.
  ASSERT_TRUE(hypervisor_.Start("d1").ok());
  hypervisor_.FailNext(Call::kShutdown, "d1", absl::UnavailableError("no answer"));
  EXPECT_FALSE(Run(OperationKind::kCreate).status.ok()) << "it still runs";
}

TEST_F(RunOperationTest, RemoveLeavesNothingAndMayBeRepeated) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  calls_.clear();
  EXPECT_TRUE(Run(OperationKind::kRemove).status.ok());
  EXPECT_THAT(*hypervisor_.List(), IsEmpty());
  EXPECT_THAT(calls_, ElementsAre("clear d1 but "));
  EXPECT_TRUE(Run(OperationKind::kRemove).status.ok());
}

TEST_F(RunOperationTest, BeginMarksThenTellsThenNames) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  Operation begin = New(OperationKind::kBeginSession);
  begin.display_name = "Jan\nuser=root\r";
  ASSERT_TRUE(Run(begin).status.ok());
  EXPECT_TRUE(Domain().tag.used);
  EXPECT_EQ(Domain().tag.session, "s1");
  EXPECT_EQ(hypervisor_.ReadGuestFile("d1", "/run/werkplek/user"), "jan\n");
  EXPECT_EQ(hypervisor_.ReadGuestFile("d1", "/run/werkplek/display_name"), "Jan user=root \n");
}

TEST_F(RunOperationTest, ABeginThatTheGuestRefusesLeavesAUsedDesktopWithoutSession) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.SetGuestProgram(
      kSessionHook, [](const std::string&, const std::vector<std::string>&, const std::string&) {
        return GuestExecResult{3, "no such user"};
      });
  const OperationResult result = Run(OperationKind::kBeginSession);
  EXPECT_THAT(result.status.message(), HasSubstr("ended with 3: no such user"));
  EXPECT_TRUE(Domain().tag.used);
  EXPECT_EQ(Domain().tag.session, "");
}

TEST_F(RunOperationTest, AGuestWithoutAgentIsNotTold) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  Operation begin = New(OperationKind::kBeginSession);
  begin.tell_guest = false;
  EXPECT_TRUE(Run(begin).status.ok());
  EXPECT_EQ(hypervisor_.Count(Call::kGuestExec), 0);
  EXPECT_EQ(Domain().tag.session, "s1");
}

TEST_F(RunOperationTest, AnEndIsAnEndEvenWhenTheGuestDoesNotAnswer) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  ASSERT_TRUE(Run(OperationKind::kBeginSession).status.ok());
  hypervisor_.SetGuestAgent("d1", false);
  Operation end = New(OperationKind::kEndSession);
  end.tag = Domain().tag;
  EXPECT_TRUE(Run(end).status.ok());
  EXPECT_EQ(Domain().tag.session, "");
  EXPECT_TRUE(Domain().tag.used) << "used is for ever";
}

TEST_F(RunOperationTest, MarkUsedIsOnDisk) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  Operation mark = New(OperationKind::kMarkUsed);
  mark.tag = Domain().tag;
  ASSERT_TRUE(Run(mark).status.ok());
  EXPECT_TRUE(Domain().tag.used);
  EXPECT_EQ(Domain().tag.overlay_identity, "8:1");
}

TEST_F(RunOperationTest, TheGuestIsRead) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  GuestReading guest = Run(OperationKind::kReadGuest).guest;
  EXPECT_EQ(guest.boot_id.size(), 36u);
  EXPECT_EQ(guest.state, v1::GUEST_STATE_UP);
  ASSERT_TRUE(Run(OperationKind::kBeginSession).status.ok());
  guest = Run(OperationKind::kReadGuest).guest;
  EXPECT_EQ(guest.state, v1::GUEST_STATE_SESSION);
  EXPECT_EQ(guest.session, "s1");
  hypervisor_.LogOutInside("d1");
  EXPECT_EQ(Run(OperationKind::kReadGuest).guest.state, v1::GUEST_STATE_LOGGED_OUT);
  hypervisor_.SetGuestAgent("d1", false);
  EXPECT_EQ(Run(OperationKind::kReadGuest).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(RunOperationTest, AGuestWithoutOurHookStillTellsItsBootId) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.SetGuestProgram(
      kSessionHook, [](const std::string&, const std::vector<std::string>&, const std::string&) {
        return GuestExecResult{127, "not found"};
      });
  const OperationResult result = Run(OperationKind::kReadGuest);
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_EQ(result.guest.boot_id.size(), 36u);
  EXPECT_EQ(result.guest.state, v1::GUEST_STATE_UP);
}

TEST_F(RunOperationTest, WhatAGuestSaysIsTextWhenItIsPassedOn) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.SetGuestProgram(
      kSessionHook, [](const std::string&, const std::vector<std::string>&, const std::string&) {
        return GuestExecResult{1, "\nna\xff\x1b[0m\nno" + std::string(1'000, 'o') + "\n"};
      });
  const std::string why(Run(OperationKind::kBeginSession).status.message());
  EXPECT_THAT(why, HasSubstr("ended with 1: na? [0m nooo"));
  EXPECT_LE(why.size(), 256u);
}

TEST_F(RunOperationTest, WhatIsNoBootIdIsNotTakenForOne) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.SetGuestProgram(
      kSessionHook, [](const std::string&, const std::vector<std::string>&, const std::string&) {
        return GuestExecResult{0, "boot_id=\xff\n"};
      });
  hypervisor_.WriteGuestFile("d1", "/proc/sys/kernel/random/boot_id", "\xe2\x82");
  EXPECT_EQ(Run(OperationKind::kReadGuest).status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(RunOperationTest, PowerAndImagesGoStraightThrough) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  EXPECT_TRUE(Run(OperationKind::kSuspend).status.ok());
  EXPECT_EQ(Domain().power, DomainPower::kSuspended);
  EXPECT_TRUE(Run(OperationKind::kResume).status.ok());
  Operation save = New(OperationKind::kSuspend);
  save.to_disk = true;
  EXPECT_TRUE(Run(save).status.ok());
  EXPECT_EQ(Domain().power, DomainPower::kSaved);
  EXPECT_TRUE(Run(OperationKind::kStart).status.ok());
  EXPECT_EQ(Domain().power, DomainPower::kRunning);
  Operation shutdown = New(OperationKind::kShutdown);
  shutdown.mode = ShutdownMode::kAcpi;
  EXPECT_TRUE(Run(shutdown).status.ok());
  EXPECT_EQ(Domain().power, DomainPower::kOff);
  calls_.clear();
  EXPECT_EQ(Run(OperationKind::kFetchImage).images.size(), 1u);
  image_status_ = absl::FailedPreconditionError("d1 stands on it");
  const OperationResult dropped = Run(OperationKind::kDropImage);
  EXPECT_EQ(dropped.status, image_status_);
  EXPECT_EQ(dropped.images.size(), 1u);
  EXPECT_THAT(calls_, ElementsAre("fetch tiny", "drop tiny"));
}

TEST_F(RunOperationTest, AKeptStartTakesTheDiskAndMakesNone) {
  Operation start = New(OperationKind::kStartKept);
  start.tag.kept = true;
  start.tag.used = true;
  start.tag.storage = "nfs-1";
  ASSERT_TRUE(Run(start).status.ok());
  EXPECT_THAT(calls_, ElementsAre("take d1 1"));
  EXPECT_EQ(Domain().disk, "/s/d1");
  EXPECT_TRUE(Domain().tag.used);
  EXPECT_TRUE(Domain().tag.kept);
  EXPECT_EQ(Domain().tag.storage, "nfs-1");
  EXPECT_EQ(Domain().tag.overlay_identity, "");
}

TEST_F(RunOperationTest, ADeedThatForbidsItLeavesTheOldDomainWithItsMark) {
  Operation start = New(OperationKind::kStartKept);
  ASSERT_TRUE(Run(start).status.ok());
  Operation mark = New(OperationKind::kMarkFenced);
  mark.tag = Domain().tag;
  ASSERT_TRUE(Run(mark).status.ok());
  EXPECT_TRUE(Domain().tag.fenced);
  image_status_ = absl::FailedPreconditionError("the deed is another's");
  start.tag.generation = 2;
  EXPECT_EQ(Run(start).status, image_status_);
  EXPECT_TRUE(Domain().tag.fenced);
  image_status_ = absl::OkStatus();
  ASSERT_TRUE(Run(start).status.ok());
  EXPECT_FALSE(Domain().tag.fenced);
}

TEST_F(RunOperationTest, NothingIsMadeToRunTooLate) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  ASSERT_TRUE(Run(OperationKind::kSuspend).status.ok());
  now_ = absl::Seconds(101);
  for (const OperationKind kind :
       {OperationKind::kCreate, OperationKind::kStartKept, OperationKind::kStart,
        OperationKind::kResume, OperationKind::kMigrate}) {
    Operation late = New(kind);
    late.not_after = absl::Seconds(100);
    EXPECT_EQ(Run(late).status.code(), absl::StatusCode::kAborted) << static_cast<int>(kind);
  }
  EXPECT_EQ(hypervisor_.Count(Call::kCreate), 1);
  EXPECT_EQ(hypervisor_.Count(Call::kStart), 0);
  EXPECT_EQ(hypervisor_.Count(Call::kResume), 0);
  EXPECT_EQ(hypervisor_.Count(Call::kMigrate), 0);
}

TEST_F(RunOperationTest, AStartOnSharedStorageAsksTheDeedFirst) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.PowerOffInside("d1");
  Operation start = New(OperationKind::kStart);
  start.tag.storage = "nfs-1";
  image_status_ = absl::FailedPreconditionError("the deed is another's");
  EXPECT_EQ(Run(start).status, image_status_);
  EXPECT_EQ(Domain().power, DomainPower::kOff);
}

TEST_F(RunOperationTest, AMoveHandsTheDeedOverFirst) {
  FakeHypervisor other;
  hypervisor_.ConnectTo("qemu+tls://hv-b/system", &other);
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  calls_.clear();
  Operation move = New(OperationKind::kMigrate);
  move.move_to = "hv-b";
  move.migration_uri = "qemu+tls://hv-b/system";
  ASSERT_TRUE(Run(move).status.ok());
  EXPECT_THAT(calls_, ElementsAre("deed d1 to hv-b"));
  EXPECT_THAT(*hypervisor_.List(), IsEmpty());
  ASSERT_EQ(other.List()->size(), 1u);
  EXPECT_EQ(other.List()->front().power, DomainPower::kRunning);
}

TEST_F(RunOperationTest, AMoveThatFailedTakesTheDeedBackOnlyWhenItIsStillHere) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  calls_.clear();
  Operation move = New(OperationKind::kMigrate);
  move.move_to = "hv-b";
  move.migration_uri = "qemu+tls://hv-b/system";
  EXPECT_FALSE(Run(move).status.ok());
  EXPECT_THAT(calls_, ElementsAre("deed d1 to hv-b", "deed d1 back"));
  // What does not run here does not go, and its deed stays where it is.
  calls_.clear();
  hypervisor_.PowerOffInside("d1");
  EXPECT_EQ(Run(move).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(calls_, IsEmpty());
  // The answer was lost.
  FakeHypervisor other;
  hypervisor_.ConnectTo(move.migration_uri, &other);
  ASSERT_TRUE(hypervisor_.Start("d1").ok());
  hypervisor_.FailNext(Call::kMigrate, "d1", absl::UnavailableError("no answer"), 1, true);
  calls_.clear();
  EXPECT_FALSE(Run(move).status.ok());
  EXPECT_THAT(calls_, ElementsAre("deed d1 to hv-b"));
  // Without the deed nothing goes.
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  image_status_ = absl::UnavailableError("the storage hangs");
  EXPECT_EQ(Run(move).status, image_status_);
}

TEST_F(RunOperationTest, WhatIsOnItsWayKeepsTheDeedOfWhereItGoes) {
  FakeHypervisor other;
  hypervisor_.ConnectTo("qemu+tls://hv-b/system", &other);
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  calls_.clear();
  Operation move = New(OperationKind::kMigrate);
  move.move_to = "hv-b";
  move.migration_uri = "qemu+tls://hv-b/system";
  ASSERT_TRUE(hypervisor_.BeginMove("d1", move.migration_uri).ok());
  // Asked again, by an agent that knows nothing of it.
  Operation again = move;
  again.move_to = "hv-c";
  EXPECT_EQ(Run(again).status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(calls_, IsEmpty());
  // The answer was lost, the move was not.
  const absl::Status lost = absl::UnavailableError("no answer");
  EXPECT_EQ(AfterMove(move, lost, hypervisor_, images_), lost);
  EXPECT_THAT(calls_, IsEmpty());
  hypervisor_.CallOffMove("d1");
  EXPECT_EQ(AfterMove(move, lost, hypervisor_, images_), lost);
  EXPECT_THAT(calls_, ElementsAre("deed d1 back"));
}

TEST_F(RunOperationTest, AKillNeedsNoConnection) {
  ASSERT_TRUE(Run(OperationKind::kCreate).status.ok());
  hypervisor_.SetConnected(false);
  Operation kill = New(OperationKind::kKill);
  EXPECT_TRUE(Run(kill).status.ok());
  hypervisor_.SetConnected(true);
  EXPECT_EQ(Domain().power, DomainPower::kOff);
  EXPECT_TRUE(Run(kill).status.ok());
}

TEST_F(RunOperationTest, ARemoveClearsTheStoragesThatItNames) {
  Operation remove = New(OperationKind::kRemove);
  remove.storages = {"nfs-1", "nfs-2"};
  EXPECT_TRUE(Run(remove).status.ok());
  EXPECT_THAT(calls_, ElementsAre("clear nfs-1d1 but ", "clear nfs-2d1 but ", "clear d1 but "));
}

TEST(ParseGuestReadingTest, TakesWhatItKnows) {
  const GuestReading reading =
      ParseGuestReading("noise\nboot_id= abc \r\nsession=s=1\nstate=session\nother=x\n");
  EXPECT_EQ(reading.boot_id, "abc");
  EXPECT_EQ(reading.session, "s=1");
  EXPECT_EQ(reading.state, v1::GUEST_STATE_SESSION);
  EXPECT_EQ(ParseGuestReading("").boot_id, "");
  EXPECT_EQ(ParseGuestReading("state=nonsense").state, v1::GUEST_STATE_UP);
  EXPECT_EQ(ParseGuestReading("boot_id=" + std::string(10'000, 'a')).boot_id, "");
  for (const char* bad : {"boot-1", "\xff", "abc \xe2\x82", "AB", "../etc"}) {
    EXPECT_EQ(ParseGuestReading(absl::StrCat("boot_id=", bad)).boot_id, "") << bad;
  }
}

}  // namespace
}  // namespace werkplek
