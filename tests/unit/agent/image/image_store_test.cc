#include "agent/image/image_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "agent/image/image_file.h"
#include "agent/image/qemu_img.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/agent/image/image_store_harness.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST_F(ImageStoreTest, AFetchedImageIsVerifiedAndReported) {
  ImageStore store = Open();
  EXPECT_THAT(store.Report(), IsEmpty());
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  const auto reports = store.Report();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].image(), "tiny");
  EXPECT_EQ(reports[0].sha256(), image.sha256());
  EXPECT_TRUE(reports[0].verified());
  EXPECT_EQ(reports[0].error(), "");
  EXPECT_EQ(*HashFile(ContentOf(image)), image.sha256());
}

TEST_F(ImageStoreTest, TheContentIsKeptOnceForAllItsNames) {
  ImageStore store = Open();
  v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  const FileFacts first = *ReadFacts(ContentOf(image));
  image.set_source("file://" + absl::StrCat(folder_.path(), "/%61.qcow2"));
  ASSERT_EQ(store.Fetch("tiny-2", image), absl::OkStatus());
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  EXPECT_EQ(ReadFacts(ContentOf(image))->identity, first.identity);
  EXPECT_THAT(Contents(), ElementsAre(image.sha256() + ".qcow2", "tiny-2.json", "tiny.json"));
  // The content stays for the other name.
  ASSERT_EQ(store.Drop("tiny"), absl::OkStatus());
  EXPECT_EQ(store.CreateOverlay(Key("d1", 1), image.sha256()).status(), absl::OkStatus());
}

TEST_F(ImageStoreTest, AWrongDigestKeepsNothing) {
  ImageStore store = Open();
  v1::Image image = MakeImage("a", "one");
  const std::string real = image.sha256();
  image.set_sha256(std::string(64, 'a'));
  const absl::Status status = store.Fetch("tiny", image);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("sha256"), HasSubstr(real)));
  EXPECT_THAT(Contents(), IsEmpty());
  ASSERT_EQ(store.Report().size(), 1u);
  EXPECT_FALSE(store.Report()[0].verified());
  EXPECT_EQ(store.Report()[0].sha256(), image.sha256());
  EXPECT_THAT(store.Report()[0].error(), HasSubstr(real));
  EXPECT_EQ(store.CreateOverlay(Key("d1", 1), image.sha256()).status().code(),
            StatusCode::kNotFound);
  // Put right, it works, and the failure is forgotten.
  image.set_sha256(real);
  EXPECT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  EXPECT_EQ(store.Report()[0].error(), "");
  EXPECT_TRUE(store.Report()[0].verified());
}

TEST_F(ImageStoreTest, AKnownFailureIsToldAgainWithoutReadingTheSource) {
  ImageStore store = Open();
  v1::Image image = MakeImage("a", "one");
  image.set_sha256(std::string(64, 'a'));
  OpenCounter opened(image.source());
  const absl::Status first = store.Fetch("tiny", image);
  EXPECT_EQ(first.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(opened.Take(), 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(store.Fetch("tiny", image), first);
    EXPECT_EQ(opened.Take(), 0);
  }
  EXPECT_EQ(store.Report()[0].error(), first.message());
  EXPECT_EQ(store.Report()[0].sha256(), image.sha256());
  EXPECT_THAT(Contents(), IsEmpty());
}

TEST_F(ImageStoreTest, AChangedSourceOrDeclarationIsReadAgain) {
  ImageStore store = Open();
  v1::Image image = MakeImage("a", "one");
  const v1::Image good = image;
  image.set_sha256(std::string(64, 'a'));
  OpenCounter opened(image.source());
  const auto fails_and_opens = [&](const std::string& what, int times) {
    EXPECT_EQ(store.Fetch("tiny", image).code(), StatusCode::kFailedPrecondition) << what;
    EXPECT_EQ(opened.Take(), times) << what;
  };
  fails_and_opens("first", 1);
  fs::last_write_time(image.source(), fs::last_write_time(image.source()) + std::chrono::hours(1));
  fails_and_opens("touched", 1);
  fails_and_opens("left alone", 0);
  image.set_sha256(std::string(64, 'b'));
  fails_and_opens("another digest", 1);
  image.set_size_bytes(0);
  fails_and_opens("another size", 1);
  EXPECT_EQ(store.Drop("tiny"), absl::OkStatus());
  fails_and_opens("dropped and wanted again", 1);
  // Another file in its place, with the same size and time.
  const auto written = fs::last_write_time(image.source());
  fs::copy_file(image.source(), folder_.File("copy"));
  fs::last_write_time(folder_.File("copy"), written);
  fs::rename(folder_.File("copy"), image.source());
  OpenCounter other_opened(image.source());
  EXPECT_FALSE(store.Fetch("tiny", image).ok());
  EXPECT_EQ(other_opened.Take(), 1);
  EXPECT_EQ(store.Fetch("tiny", good), absl::OkStatus());
  EXPECT_TRUE(store.Report()[0].verified());
}

TEST_F(ImageStoreTest, AKnownFailureGivesWayToContentThatAnotherNameBrought) {
  ImageStore store = Open();
  const v1::Image good = MakeImage("a", "one");
  v1::Image wrong = MakeImage("b", "two");
  wrong.set_sha256(good.sha256());
  wrong.clear_size_bytes();
  EXPECT_FALSE(store.Fetch("tiny", wrong).ok());
  ASSERT_EQ(store.Fetch("other", good), absl::OkStatus());
  EXPECT_EQ(store.Fetch("tiny", wrong), absl::OkStatus());
}

TEST_F(ImageStoreTest, ADiskOfAnotherFormatIsReadOnce) {
  ImageStore store = Open();
  v1::Image raw = MakeImage("b", "two", "raw");
  raw.set_format("qcow2");
  OpenCounter opened(raw.source());
  const absl::Status first = store.Fetch("tiny", raw);
  EXPECT_EQ(first.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(opened.Take(), 1);
  EXPECT_EQ(store.Fetch("tiny", raw), first);
  EXPECT_EQ(opened.Take(), 0);
}

TEST_F(ImageStoreTest, AWrongSizeOrFormatIsRefused) {
  ImageStore store = Open();
  v1::Image image = MakeImage("a", "one");
  image.set_size_bytes(image.size_bytes() + 1);
  EXPECT_EQ(store.Fetch("tiny", image).code(), StatusCode::kFailedPrecondition);
  v1::Image raw = MakeImage("b", "two", "raw");
  raw.set_format("qcow2");
  EXPECT_EQ(store.Fetch("tiny", raw).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Contents(), IsEmpty());
}

TEST_F(ImageStoreTest, BadDeclarationsNameTheField) {
  ImageStore store = Open();
  const v1::Image good = MakeImage("a", "one");
  const auto refused = [&](const std::string& name, const v1::Image& image,
                           const std::string& field) {
    const absl::Status status = store.Fetch(name, image);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith(field + ":"));
  };
  for (const char* name : {"", "../tiny", "a/b", ".hidden", "Tiny", "tiny image", "tiny\n", "-x"}) {
    refused(name, good, "name");
  }
  v1::Image image = good;
  image.set_sha256("abc");
  refused("tiny", image, "sha256");
  image = good;
  image.set_sha256(std::string(64, 'A'));
  refused("tiny", image, "sha256");
  image = good;
  image.set_format("vmdk");
  refused("tiny", image, "format");
  for (const char* source : {"", "tiny.qcow2", "http://x/y", "file://elsewhere/y", "file:///%zz"}) {
    image = good;
    image.set_source(source);
    refused("tiny", image, "source");
  }
  image = good;
  image.set_source("/nonexistent/disk.qcow2");
  EXPECT_EQ(store.Fetch("tiny", image).code(), StatusCode::kNotFound);
  image.set_source("/dev/zero");
  EXPECT_EQ(store.Fetch("tiny", image).code(), StatusCode::kFailedPrecondition);
}

TEST_F(ImageStoreTest, ADiskThatReadsOtherFilesIsRefused) {
  const std::string secret = folder_.Write("secret.raw", std::string(65536, 's'));
  const std::string disk = folder_.File("greedy.qcow2");
  ASSERT_EQ(MakeOverlay(disk, secret, "raw"), absl::OkStatus());
  v1::Image image;
  image.set_source(disk);
  image.set_sha256(*HashFile(disk));
  image.set_format("qcow2");
  ImageStore store = Open();
  const absl::Status status = store.Fetch("tiny", image);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("secret.raw"));
}

TEST_F(ImageStoreTest, AnOverlayIsNewAndStandsOnTheImage) {
  for (const char* format : {"qcow2", "raw"}) {
    ImageStore store = Open();
    const v1::Image image = MakeImage(format, format, format);
    ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
    const auto overlay = store.CreateOverlay(Key("d1", 7), image.sha256());
    ASSERT_TRUE(overlay.ok()) << overlay.status();
    const auto chain = ReadChain(overlay->path);
    ASSERT_TRUE(chain.ok()) << chain.status();
    ASSERT_EQ(chain->size(), 2u);
    EXPECT_EQ((*chain)[1].path, ContentOf(image));
    EXPECT_EQ((*chain)[1].format, format);
    EXPECT_EQ(overlay->backing_sha256, image.sha256());
    EXPECT_EQ(overlay->identity, ReadFacts(overlay->path)->identity);
    EXPECT_GT(overlay->created_unix_ns, 1600000000000000000);
  }
}

TEST_F(ImageStoreTest, NoOverlayIsUsedTwice) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  const auto first = store.CreateOverlay(Key("d1", 7), image.sha256());
  ASSERT_TRUE(first.ok());
  std::ofstream(first->path, std::ios::app) << "left by somebody";
  const auto second = store.CreateOverlay(Key("d1", 7), image.sha256());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->path, second->path);
  EXPECT_NE(std::make_pair(first->identity, first->created_unix_ns),
            std::make_pair(second->identity, second->created_unix_ns));
  EXPECT_THAT(ReadWholeFile(second->path), Not(HasSubstr("left by somebody")));
}

TEST_F(ImageStoreTest, OverlaysOfOneDesktopAreRemovedButOne) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  const auto one = store.CreateOverlay(Key("d1", 1), image.sha256());
  const auto two = store.CreateOverlay(Key("d1", 2), image.sha256());
  const auto other = store.CreateOverlay(Key("d1-2", 1), image.sha256());
  ASSERT_TRUE(one.ok() && two.ok() && other.ok());
  EXPECT_EQ(store.RemoveOverlays("d1", two->path), absl::OkStatus());
  EXPECT_FALSE(fs::exists(one->path));
  EXPECT_TRUE(fs::exists(two->path));
  EXPECT_EQ(store.RemoveOverlays("d1", ""), absl::OkStatus());
  EXPECT_EQ(store.RemoveOverlays("d1", ""), absl::OkStatus());
  EXPECT_FALSE(fs::exists(two->path));
  EXPECT_TRUE(fs::exists(other->path));
  EXPECT_EQ(store.RemoveOverlays("../images", "").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store.CreateOverlay(Key("../images", 1), image.sha256()).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(ImageStoreTest, AnImageInUseIsNotDropped) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(store.CreateOverlay(Key("d1", 1), image.sha256()).ok());
  ASSERT_TRUE(store.CreateOverlay(Key("d2", 1), image.sha256()).ok());
  const absl::Status status = store.Drop("tiny");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 desktops: d1, d2"));
  EXPECT_TRUE(fs::exists(ContentOf(image)));
  EXPECT_TRUE(store.Report()[0].verified());
  ASSERT_EQ(store.RemoveOverlays("d1", ""), absl::OkStatus());
  ASSERT_EQ(store.RemoveOverlays("d2", ""), absl::OkStatus());
  EXPECT_EQ(store.Drop("tiny"), absl::OkStatus());
  EXPECT_EQ(store.Drop("tiny"), absl::OkStatus());
  EXPECT_THAT(Contents(), IsEmpty());
  EXPECT_THAT(store.Report(), IsEmpty());
}

TEST_F(ImageStoreTest, AChainThatCannotBeReadProtectsEveryImage) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  fs::create_directories(Root() + "/overlays/d7");
  std::ofstream(Root() + "/overlays/d7/1.qcow2") << "no disk at all";
  const absl::Status status = store.Drop("tiny");
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("d7"));
  EXPECT_TRUE(fs::exists(ContentOf(image)));
}

TEST_F(ImageStoreTest, DamageIsFoundBeforeAnOverlayIsMade) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  FlipByte(ContentOf(image));
  EXPECT_EQ(store.CreateOverlay(Key("d1", 1), image.sha256()).status().code(),
            StatusCode::kNotFound);
  EXPECT_FALSE(store.Report()[0].verified());
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  EXPECT_TRUE(store.CreateOverlay(Key("d1", 1), image.sha256()).ok());
}

TEST_F(ImageStoreTest, AnUpdateLeavesTheOldContentOnlyWhileADesktopStandsOnIt) {
  ImageStore store = Open();
  const v1::Image first = MakeImage("a", "one");
  const v1::Image second = MakeImage("b", "two");
  const v1::Image third = MakeImage("c", "three");
  ASSERT_EQ(store.Fetch("tiny", first), absl::OkStatus());
  ASSERT_TRUE(store.CreateOverlay(Key("d1", 1), first.sha256()).ok());
  ASSERT_EQ(store.Fetch("tiny", second), absl::OkStatus());
  EXPECT_TRUE(fs::exists(ContentOf(first)));
  EXPECT_EQ(store.Report()[0].sha256(), second.sha256());
  ASSERT_EQ(store.RemoveOverlays("d1", ""), absl::OkStatus());
  ASSERT_EQ(store.Fetch("tiny", third), absl::OkStatus());
  EXPECT_FALSE(fs::exists(ContentOf(first)));
  EXPECT_FALSE(fs::exists(ContentOf(second)));
}

TEST_F(ImageStoreTest, AFailedUpdateKeepsTheOldContent) {
  ImageStore store = Open();
  const v1::Image first = MakeImage("a", "one");
  ASSERT_EQ(store.Fetch("tiny", first), absl::OkStatus());
  v1::Image second = first;
  second.set_sha256(std::string(64, 'b'));
  EXPECT_FALSE(store.Fetch("tiny", second).ok());
  EXPECT_EQ(store.Report()[0].sha256(), second.sha256());
  EXPECT_FALSE(store.Report()[0].verified());
  EXPECT_TRUE(store.CreateOverlay(Key("d1", 1), first.sha256()).ok());
}

TEST_F(ImageStoreTest, ManyFetchesOfOneImageCopyItOnce) {
  ImageStore store = Open();
  const v1::Image image = MakeImage("a", "one");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&, i] { EXPECT_EQ(store.Fetch(absl::StrCat("tiny-", i % 4), image), absl::OkStatus()); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store.Report().size(), 4u);
  EXPECT_EQ(Contents().size(), 5u);
}

TEST_F(ImageStoreTest, AFullDiskKeepsNothing) {
  fs::create_directories(Root());
  if (mount("none", Root().c_str(), "tmpfs", 0, "size=64k") != 0) {
    GTEST_SKIP() << "mounting a small file system takes root";
  }
  const absl::Cleanup unmount = [this] { umount(Root().c_str()); };
  {
    ImageStore store = Open();
    const v1::Image image = MakeImage("a", "one");
    ASSERT_GT(image.size_bytes(), 65536u);
    EXPECT_EQ(store.Fetch("tiny", image).code(), StatusCode::kResourceExhausted);
    EXPECT_THAT(Contents(), IsEmpty());
    // The copy itself, too, when the room goes while it runs.
    EXPECT_EQ(CopyAndHash(image.source(), Root() + "/copy").status().code(),
              StatusCode::kResourceExhausted);
    EXPECT_FALSE(fs::exists(Root() + "/copy"));
  }
}

TEST_F(ImageStoreTest, ALinkLeadsOutOfNoImageFolder) {
  v1::Image image = MakeImage("a", "one");
  const std::string images = folder_.File("images");
  fs::create_directory(images);
  fs::create_symlink(image.source(), images + "/out.qcow2");
  fs::copy_file(image.source(), images + "/in.qcow2");
  // The folder itself may be a link.
  fs::create_directory_symlink(images, folder_.File("link"));
  auto store = ImageStore::Open(Root(), {"/nonexistent", folder_.File("link")});
  ASSERT_TRUE(store.ok()) << store.status();
  image.set_source(images + "/out.qcow2");
  const absl::Status status = store->Fetch("tiny", image);
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("image folders"));
  EXPECT_THAT(Contents(), IsEmpty());
  image.set_source("file://" + folder_.File("link") + "/%69n.qcow2");
  EXPECT_EQ(store->Fetch("tiny", image), absl::OkStatus());
}

TEST_F(ImageStoreTest, ARelativeRootIsRefused) {
  EXPECT_EQ(ImageStore::Open("store").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace werkplek
