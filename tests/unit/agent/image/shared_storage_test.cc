// Two hosts on one folder: images once, disks by their deeds, and nothing taken for what it is not.
#include "agent/image/shared_storage.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "agent/image/deed.h"
#include "agent/image/image_file.h"
#include "agent/image/qemu_img.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kDay = SharedStorage::kLeftoverAge;

class SharedStorageTest : public testing::Test {
 protected:
  SharedStorageTest() { fs::create_directory(Root()); }

  std::string Root() const { return folder_.File("shared"); }
  std::string Disk(const std::string& desktop) const {
    return absl::StrCat(Root(), "/overlays/", desktop, "/disk.qcow2");
  }
  SharedStorageOptions Options(const std::string& host) const {
    return {.name = "nfs-1",
            .path = Root(),
            .host = host,
            .id_file = folder_.File(host + ".id"),
            .plain_folder = true};
  }
  std::unique_ptr<SharedStorage> Host(const std::string& host) {
    return std::make_unique<SharedStorage>(Options(host));
  }
  v1::Image MakeImage(const std::string& content) {
    const std::string raw = folder_.Write("source.raw", content + std::string(65536, 'x'));
    const std::string disk = folder_.File("source.qcow2");
    EXPECT_TRUE(RunProgram({"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk}).ok());
    v1::Image image;
    image.set_source(disk);
    image.set_sha256(*HashFile(disk));
    image.set_format("qcow2");
    return image;
  }
  static DiskKey Kept(uint64_t generation, const std::string& desktop = "d1") {
    return {desktop, generation, "nfs-1", true};
  }
  std::string ContentOf(const v1::Image& image) const {
    return absl::StrCat(Root(), "/images/", image.sha256(), ".qcow2");
  }
  // As if everything that was done with the image lay further back than the clock of files can
  // fail to tell apart.
  void LongAgo(const v1::Image& image) const {
    const std::string lock = absl::StrCat(Root(), "/locks/image-", image.sha256());
    fs::last_write_time(lock, fs::last_write_time(lock) - std::chrono::hours(1));
  }
  Deed DeedOf(const std::string& desktop) const {
    const auto deed = ReadDeed(absl::StrCat(Root(), "/overlays/", desktop, "/disk.deed"));
    return deed.ok() && deed->has_value() ? **deed : Deed();
  }

  TemporaryFolder folder_;
  const std::unique_ptr<SharedStorage> a_ = Host("hv-a");
  const std::unique_ptr<SharedStorage> b_ = Host("hv-b");
};

TEST_F(SharedStorageTest, AFolderIsKnownAgainAndNothingElseIsTakenForIt) {
  EXPECT_EQ(a_->AtHand(), absl::OkStatus());
  EXPECT_EQ(b_->AtHand(), absl::OkStatus());
  SharedStorageOptions renamed = Options("other");
  renamed.name = "nfs-2";
  SharedStorage other(renamed);
  EXPECT_THAT(std::string(other.AtHand().message()), HasSubstr("is another storage"));
  // The mount is gone: an empty folder shows.
  fs::rename(Root(), folder_.File("elsewhere"));
  EXPECT_EQ(a_->AtHand().code(), StatusCode::kUnavailable);
  fs::create_directory(Root());
  EXPECT_THAT(std::string(a_->AtHand().message()), HasSubstr("is it mounted?"));
  EXPECT_TRUE(fs::is_empty(Root())) << "nothing is made where the storage should be";
  EXPECT_EQ(a_->CreateOverlay(Kept(1), std::string(64, 'a')).status().code(),
            StatusCode::kUnavailable);
  // Somebody else's fresh one is not it either.
  EXPECT_EQ(Host("hv-c")->AtHand(), absl::OkStatus());
  EXPECT_THAT(std::string(a_->AtHand().message()), HasSubstr("not the storage that was there"));
}

TEST_F(SharedStorageTest, AFolderBelowAMissingMountDoesNotBecomeTheStorage) {
  SharedStorageOptions options = Options("hv-a");
  options.plain_folder = false;
  SharedStorage storage(options);
  const absl::Status status = storage.AtHand();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr(Root()), HasSubstr("no mount of its own"), HasSubstr("plain_folder")));
  EXPECT_TRUE(fs::is_empty(Root()));
  EXPECT_FALSE(fs::exists(options.id_file));
  // Begun by a host that may, it is known to all.
  ASSERT_EQ(b_->AtHand(), absl::OkStatus());
  EXPECT_EQ(storage.AtHand(), absl::OkStatus());
}

TEST_F(SharedStorageTest, AMountOfItsOwnMayBecomeTheStorage) {
  if (mount("none", Root().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a small file system takes root";
  }
  const absl::Cleanup unmount = [this] { umount(Root().c_str()); };
  SharedStorageOptions options = Options("hv-a");
  options.plain_folder = false;
  EXPECT_EQ(SharedStorage(options).AtHand(), absl::OkStatus());
}

TEST_F(SharedStorageTest, ASourceThatLiesElsewhereIsRefused) {
  const v1::Image image = MakeImage("one");
  SharedStorageOptions options = Options("hv-a");
  options.image_folders = {Root()};
  EXPECT_EQ(SharedStorage(options).Fetch("tiny", image).code(), StatusCode::kPermissionDenied);
  options.image_folders = {folder_.path()};
  EXPECT_EQ(SharedStorage(options).Fetch("tiny", image), absl::OkStatus());
}

TEST_F(SharedStorageTest, AnImageIsThereOnceForAllHosts) {
  const v1::Image image = MakeImage("one");
  std::thread other([&] { EXPECT_EQ(b_->Fetch("tiny", image), absl::OkStatus()); });
  EXPECT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  other.join();
  const std::string content = absl::StrCat(Root(), "/images/", image.sha256(), ".qcow2");
  const FileFacts facts = *ReadFacts(content);
  EXPECT_EQ(Host("hv-c")->Fetch("tiny", image), absl::OkStatus());
  EXPECT_TRUE(SameFile(*ReadFacts(content), facts));
  ASSERT_EQ(a_->Report().size(), 1u);
  EXPECT_TRUE(a_->Report()[0].verified());
}

TEST_F(SharedStorageTest, AWrongOrDamagedImageIsNotUsed) {
  v1::Image image = MakeImage("one");
  v1::Image wrong = image;
  wrong.set_sha256(std::string(64, 'a'));
  EXPECT_EQ(a_->Fetch("tiny", wrong).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(a_->Report()[0].error(), HasSubstr("declared is"));
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const std::string content = absl::StrCat(Root(), "/images/", image.sha256(), ".qcow2");
  fs::permissions(content, fs::perms::owner_write, fs::perm_options::add);
  fs::resize_file(content, 100);
  EXPECT_EQ(a_->CreateOverlay(Kept(1), image.sha256()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(b_->Fetch("tiny", image), absl::OkStatus());
  EXPECT_TRUE(a_->CreateOverlay(Kept(1), image.sha256()).ok());
}

TEST_F(SharedStorageTest, AnImageStaysWhileADiskOfAnyHostStandsOnIt) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_EQ(b_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(b_->CreateOverlay(Kept(1), image.sha256()).ok());
  EXPECT_EQ(a_->Drop("tiny").code(), StatusCode::kFailedPrecondition);
  ASSERT_EQ(b_->RemoveDisks(Kept(1), ""), absl::OkStatus());
  EXPECT_EQ(a_->Drop("tiny"), absl::OkStatus());
  EXPECT_EQ(a_->Drop("tiny"), absl::OkStatus());
  EXPECT_EQ(b_->CreateOverlay(Kept(2), image.sha256()).status().code(), StatusCode::kNotFound);
}

TEST_F(SharedStorageTest, WhatAnUpdateLeftBehindGoesADayAfterItIsOfUse) {
  const v1::Image old = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", old), absl::OkStatus());
  ASSERT_TRUE(b_->CreateOverlay(Kept(1), old.sha256()).ok());
  const v1::Image fresh = MakeImage("two");
  ASSERT_EQ(a_->Fetch("tiny", fresh), absl::OkStatus());
  const auto look = [&](absl::Duration now) { a_->RemoveLeftovers({fresh.sha256()}, now); };
  look(absl::ZeroDuration());
  look(kDay);
  EXPECT_TRUE(fs::exists(ContentOf(old))) << "a disk stands on it";
  ASSERT_EQ(b_->RemoveDisks(Kept(1), ""), absl::OkStatus());
  look(2 * kDay - absl::Seconds(1));
  EXPECT_TRUE(fs::exists(ContentOf(old)));
  look(2 * kDay);
  EXPECT_FALSE(fs::exists(ContentOf(old)));
  EXPECT_FALSE(fs::exists(ContentOf(old) + ".json"));
  EXPECT_TRUE(fs::exists(ContentOf(fresh)));
  // Who wants it after all gets it again.
  EXPECT_EQ(b_->CreateOverlay(Kept(2), old.sha256()).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(MakeImage("one").sha256(), old.sha256());
  EXPECT_EQ(b_->Fetch("tiny", old), absl::OkStatus());
  EXPECT_TRUE(b_->CreateOverlay(Kept(2), old.sha256()).ok());
}

TEST_F(SharedStorageTest, WhatAnotherHostRemovedIsNotVerifiedAnyMore) {
  const v1::Image image = MakeImage("one");
  for (const char* name : {"tiny", "also"}) ASSERT_EQ(b_->Fetch(name, image), absl::OkStatus());
  a_->RemoveLeftovers({}, absl::ZeroDuration());
  a_->RemoveLeftovers({}, kDay);
  ASSERT_FALSE(fs::exists(ContentOf(image)));
  EXPECT_EQ(b_->CreateOverlay(Kept(1), image.sha256()).status().code(), StatusCode::kNotFound);
  ASSERT_EQ(b_->Report().size(), 2u);
  for (const v1::ImageReport& report : b_->Report()) {
    EXPECT_FALSE(report.verified());
    EXPECT_THAT(report.error(), HasSubstr("no verified image"));
  }
  ASSERT_EQ(b_->Fetch("tiny", image), absl::OkStatus());
  EXPECT_TRUE(b_->CreateOverlay(Kept(1), image.sha256()).ok());
}

TEST_F(SharedStorageTest, WhatAnyHostWantsStaysForAllOfThem) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const std::vector<std::function<void()>> uses = {
      [&] { b_->RemoveLeftovers({image.sha256()}, absl::Hours(7777)); },
      [&] { EXPECT_EQ(b_->Fetch("other", image), absl::OkStatus()); },
      [&] {
        ASSERT_TRUE(b_->CreateOverlay(Kept(1), image.sha256()).ok());
        ASSERT_EQ(b_->RemoveDisks(Kept(1), ""), absl::OkStatus());
      }};
  absl::Duration now;
  for (const auto& use : uses) {
    LongAgo(image);
    a_->RemoveLeftovers({}, now);
    use();
    now += kDay;
    a_->RemoveLeftovers({}, now);
    EXPECT_TRUE(fs::exists(ContentOf(image)));
  }
  // A host that is not there any more wants nothing.
  a_->RemoveLeftovers({}, now + kDay);
  EXPECT_FALSE(fs::exists(ContentOf(image)));
  EXPECT_TRUE(a_->Report().empty());
}

TEST_F(SharedStorageTest, WhatCannotBeReadKeepsEveryImage) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const std::string unread = Root() + "/overlays/d8";
  absl::Duration now;
  a_->RemoveLeftovers({}, now);
  const auto expect_stays = [&] {
    a_->RemoveLeftovers({}, now += kDay);
    const absl::Status dropped = a_->Drop("tiny");
    EXPECT_EQ(dropped.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(dropped.message()), HasSubstr("d8"));
    EXPECT_TRUE(fs::exists(ContentOf(image)));
  };
  fs::create_directory(unread);
  folder_.Write("shared/overlays/d8/disk.qcow2", "no disk");
  expect_stays();
  fs::remove_all(unread);
  // A folder: round and round.
  fs::create_symlink("d8", unread);
  expect_stays();
  fs::remove(unread);
  a_->RemoveLeftovers({}, now += kDay);
  EXPECT_FALSE(fs::exists(ContentOf(image)));
}

TEST_F(SharedStorageTest, ALeftoverStaysWhileItCannotBeJudged) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  absl::Duration now;
  a_->RemoveLeftovers({}, now);
  {
    const auto busy = FileLock::Take(absl::StrCat(Root(), "/locks/image-", image.sha256()),
                                     FileLock::Mode::kShared, absl::ZeroDuration());
    ASSERT_TRUE(busy.ok());
    a_->RemoveLeftovers({}, now += kDay);
    EXPECT_TRUE(fs::exists(ContentOf(image))) << "somebody works with it";
  }
  fs::rename(Root() + "/storage.id", folder_.File("away"));
  a_->RemoveLeftovers({}, now += kDay);
  EXPECT_TRUE(fs::exists(ContentOf(image))) << "it may be another storage";
  fs::rename(folder_.File("away"), Root() + "/storage.id");
  const v1::Image other = MakeImage("two");
  ASSERT_EQ(a_->Fetch("other", other), absl::OkStatus());
  ASSERT_TRUE(b_->CreateOverlay(Kept(1), other.sha256()).ok());
  a_->RemoveLeftovers({}, now, [] { return true; });
  EXPECT_TRUE(fs::exists(ContentOf(image))) << "the agent ends before it has read every disk";
  a_->RemoveLeftovers({}, now, [] { return false; });
  EXPECT_FALSE(fs::exists(ContentOf(image)));
  EXPECT_TRUE(fs::exists(ContentOf(other)));
}

TEST_F(SharedStorageTest, HalfACopyGoesToo) {
  ASSERT_EQ(a_->AtHand(), absl::OkStatus());
  const std::string half = absl::StrCat("shared/images/", std::string(64, 'a'), ".qcow2.part");
  folder_.Write(half, "half");
  const std::string other = folder_.Write("shared/images/README.md", "not ours");
  a_->RemoveLeftovers({}, absl::ZeroDuration());
  EXPECT_TRUE(fs::exists(folder_.File(half)));
  a_->RemoveLeftovers({}, kDay);
  EXPECT_FALSE(fs::exists(folder_.File(half)));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(SharedStorageTest, ADiskThatIsMadeDuringTheLookKeepsItsImage) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const v1::Image other = MakeImage("two");
  ASSERT_EQ(a_->Fetch("other", other), absl::OkStatus());
  ASSERT_TRUE(b_->CreateOverlay(Kept(1), other.sha256()).ok());
  a_->RemoveLeftovers({other.sha256()}, absl::ZeroDuration());
  const std::string lock = absl::StrCat(Root(), "/locks/image-", image.sha256());
  const auto touched = fs::last_write_time(lock);
  bool made = false;
  // Asked when the folders have been listed, and d1's disk is to be read.
  const auto make = [&] {
    if (made) return false;
    made = b_->CreateOverlay(Kept(1, "d2"), image.sha256()).ok();
    // Within one tick of the file system's clock, the time does not show it.
    fs::last_write_time(lock, touched);
    return false;
  };
  a_->RemoveLeftovers({other.sha256()}, kDay, make);
  EXPECT_TRUE(made);
  EXPECT_TRUE(ReadChain(Disk("d2")).ok());
}

TEST_F(SharedStorageTest, NoDiskIsMadeOnAnImageThatGoes) {
  const v1::Image image = MakeImage("one");
  absl::Duration now;
  for (uint64_t generation = 1; generation <= 10; ++generation) {
    ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
    a_->RemoveLeftovers({}, now);
    absl::Status made;
    std::thread other([&] { made = b_->CreateOverlay(Kept(generation), image.sha256()).status(); });
    a_->RemoveLeftovers({}, now += kDay);
    other.join();
    EXPECT_TRUE(made.ok() || absl::IsNotFound(made) || absl::IsUnavailable(made)) << made;
    EXPECT_TRUE(!made.ok() || ReadChain(Disk("d1")).ok());
    ASSERT_EQ(b_->RemoveDisks(Kept(generation), ""), absl::OkStatus());
  }
}

TEST_F(SharedStorageTest, TheDeedGoesToWhoTakesTheDiskAtANewerGeneration) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const auto made = a_->CreateOverlay(Kept(1), image.sha256());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->path, Disk("d1"));
  EXPECT_EQ(DeedOf("d1").host, "hv-a");
  // The same generation is hv-a's, also again; the next is whose comes first.
  EXPECT_EQ(*a_->TakeDisk(Kept(1)), Disk("d1"));
  EXPECT_EQ(b_->TakeDisk(Kept(1)).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*b_->TakeDisk(Kept(2)), Disk("d1"));
  EXPECT_EQ(DeedOf("d1").generation, 2u);
  EXPECT_THAT(std::string(a_->TakeDisk(Kept(1)).status().message()), HasSubstr("hv-b's"));
  EXPECT_FALSE(a_->TakeDisk(Kept(2)).ok());
  // It is the same disk all the time.
  EXPECT_EQ(ReadFacts(Disk("d1"))->identity, made->identity);
}

TEST_F(SharedStorageTest, ADiskThatIsNotHereIsSaid) {
  EXPECT_EQ(a_->TakeDisk(Kept(1)).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(a_->TakeDisk(Kept(1)).status().message()),
              HasSubstr("its disk is not here"));
  EXPECT_FALSE(fs::exists(Root() + "/overlays/d1"));
}

TEST_F(SharedStorageTest, ALateRemoveNeverTakesADiskThatLivesElsewhere) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(a_->CreateOverlay(Kept(1), image.sha256()).ok());
  ASSERT_TRUE(b_->TakeDisk(Kept(2)).ok());
  EXPECT_EQ(a_->RemoveDisks(Kept(1), ""), absl::OkStatus());
  EXPECT_EQ(a_->RemoveDisks(Kept(9), ""), absl::OkStatus());
  EXPECT_EQ(b_->RemoveDisks(Kept(1), ""), absl::OkStatus()) << "older than the deed";
  EXPECT_TRUE(fs::exists(Disk("d1")));
  EXPECT_EQ(b_->RemoveDisks(Kept(2), ""), absl::OkStatus());
  EXPECT_FALSE(fs::exists(Disk("d1")));
  EXPECT_FALSE(fs::exists(Root() + "/overlays/d1"));
  EXPECT_EQ(b_->RemoveDisks(Kept(2), ""), absl::OkStatus());
}

TEST_F(SharedStorageTest, AMoveTakesTheDeedAlongAndBack) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(a_->CreateOverlay(Kept(3), image.sha256()).ok());
  EXPECT_EQ(a_->HandOver(Kept(3), "hv-b"), absl::OkStatus());
  EXPECT_FALSE(a_->TakeDisk(Kept(3)).ok());
  EXPECT_EQ(a_->RemoveDisks(Kept(3), ""), absl::OkStatus());
  EXPECT_TRUE(b_->TakeDisk(Kept(3)).ok());
  EXPECT_EQ(a_->TakeBack(Kept(3)), absl::OkStatus());
  EXPECT_TRUE(a_->TakeDisk(Kept(3)).ok());
  ASSERT_TRUE(b_->TakeDisk(Kept(4)).ok());
  EXPECT_EQ(a_->HandOver(Kept(3), "hv-c").code(), StatusCode::kFailedPrecondition);
}

TEST_F(SharedStorageTest, AResetMakesANewDiskUnderTheDeed) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  const auto first = a_->CreateOverlay(Kept(1), image.sha256());
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(b_->TakeDisk(Kept(2)).ok());
  EXPECT_EQ(a_->CreateOverlay(Kept(2), image.sha256()).status().code(),
            StatusCode::kFailedPrecondition);
  const auto second = a_->CreateOverlay(Kept(3), image.sha256());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_NE(second->identity, first->identity);
  EXPECT_EQ(second->path, first->path);
  EXPECT_FALSE(b_->TakeDisk(Kept(2)).ok());
}

TEST_F(SharedStorageTest, FloatingDesktopsHaveADiskForEachGeneration) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  DiskKey first = Kept(1);
  first.kept = false;
  DiskKey second = first;
  second.generation = 2;
  ASSERT_TRUE(a_->CreateOverlay(first, image.sha256()).ok());
  const auto other = b_->CreateOverlay(second, image.sha256());
  ASSERT_TRUE(other.ok());
  ASSERT_EQ(b_->RemoveDisks(second, other->path), absl::OkStatus());
  EXPECT_TRUE(fs::exists(Root() + "/overlays/d1/1.qcow2")) << "another host may still run it";
  EXPECT_EQ(a_->RemoveDisks(first, ""), absl::OkStatus());
  EXPECT_FALSE(fs::exists(Root() + "/overlays/d1/1.qcow2"));
  EXPECT_TRUE(fs::exists(other->path));
}

TEST_F(SharedStorageTest, ACrashLeavesNothingThatIsTakenForADisk) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  // After the deed, before the disk; then with half of a disk.
  fs::create_directory(Root() + "/overlays/d1");
  ASSERT_EQ(WriteDeed(Root() + "/overlays/d1/disk.deed", {1, "hv-a"}), absl::OkStatus());
  EXPECT_EQ(a_->TakeDisk(Kept(1)).status().code(), StatusCode::kNotFound);
  folder_.Write("shared/overlays/d1/disk.qcow2.new", "half");
  EXPECT_TRUE(a_->CreateOverlay(Kept(1), image.sha256()).ok());
  folder_.Write("shared/overlays/d1/disk.qcow2.new", "half");
  EXPECT_EQ(a_->RemoveDisks(Kept(1), ""), absl::OkStatus());
  EXPECT_FALSE(fs::exists(Root() + "/overlays/d1"));
}

TEST_F(SharedStorageTest, ADamagedDeedStopsEverythingButTheReader) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(a_->CreateOverlay(Kept(1), image.sha256()).ok());
  folder_.Write("shared/overlays/d1/disk.deed", "what?");
  EXPECT_EQ(a_->TakeDisk(Kept(2)).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(a_->RemoveDisks(Kept(2), "").code(), StatusCode::kDataLoss);
  EXPECT_TRUE(fs::exists(Disk("d1")));
}

TEST_F(SharedStorageTest, TwoHostsThatTakeADiskAtOnceLeaveOneWinner) {
  const v1::Image image = MakeImage("one");
  ASSERT_EQ(a_->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(a_->CreateOverlay(Kept(1), image.sha256()).ok());
  for (uint64_t generation = 2; generation < 12; ++generation) {
    bool took_b = false;
    std::thread other([&] { took_b = b_->TakeDisk(Kept(generation)).ok(); });
    const bool took_a = a_->TakeDisk(Kept(generation)).ok();
    other.join();
    EXPECT_NE(took_a, took_b) << generation;
    EXPECT_EQ(DeedOf("d1").host, took_a ? "hv-a" : "hv-b");
  }
}

TEST(DeedTest, TheRules) {
  const Deed deed = {5, "hv-a"};
  EXPECT_TRUE(MayTake(std::nullopt, 1, "hv-b").ok());
  EXPECT_TRUE(MayTake(deed, 5, "hv-a").ok());
  EXPECT_TRUE(MayTake(deed, 6, "hv-b").ok());
  EXPECT_FALSE(MayTake(deed, 5, "hv-b").ok());
  EXPECT_FALSE(MayTake(deed, 4, "hv-a").ok());
  EXPECT_TRUE(MayRemove(deed, 5, "hv-a"));
  EXPECT_TRUE(MayRemove(deed, 6, "hv-a"));
  EXPECT_FALSE(MayRemove(deed, 4, "hv-a"));
  EXPECT_FALSE(MayRemove(deed, 6, "hv-b"));
  EXPECT_FALSE(MayRemove(std::nullopt, 6, "hv-b"));
  EXPECT_TRUE(MayHandOver(deed, 5).ok());
  EXPECT_FALSE(MayHandOver(deed, 4).ok());
}

}  // namespace
}  // namespace werkplek
