// What a store knows of the run before, and what it does not look at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/agent/image/image_store_harness.h"

namespace werkplek {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using testing::ElementsAre;

TEST_F(ImageStoreTest, AReopenedStoreKnowsItsImages) {
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(Open().Fetch("tiny", image), absl::OkStatus());
  folder_.Write("the store/images/left.part", "torn");
  folder_.Write("the store/images/broken.json", "{");
  ImageStore store = Open();
  ASSERT_EQ(store.Report().size(), 1u);
  EXPECT_TRUE(store.Report()[0].verified());
  EXPECT_TRUE(store.CreateOverlay(Key("d1", 1), image.sha256()).ok());
  EXPECT_THAT(Contents(), ElementsAre(image.sha256() + ".qcow2", "tiny.json"));
}

TEST_F(ImageStoreTest, DamageIsFoundAtOpenAndMendedByAFetch) {
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(Open().Fetch("tiny", image), absl::OkStatus());
  FlipByte(ContentOf(image));
  ImageStore store = Open();
  ASSERT_EQ(store.Report().size(), 1u);
  EXPECT_FALSE(store.Report()[0].verified());
  EXPECT_EQ(store.CreateOverlay(Key("d1", 1), image.sha256()).status().code(),
            StatusCode::kNotFound);
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  EXPECT_TRUE(store.Report()[0].verified());
  EXPECT_EQ(store.Report()[0].error(), "");
  EXPECT_EQ(*HashFile(ContentOf(image)), image.sha256());
}

TEST_F(ImageStoreTest, ATouchedCopyIsReadByAFetchNotByOpenAndKept) {
  const v1::Image image = MakeImage("a", "one");
  ASSERT_EQ(Open().Fetch("tiny", image), absl::OkStatus());
  fs::last_write_time(ContentOf(image), fs::file_time_type::clock::now());
  const FileFacts before = *ReadFacts(ContentOf(image));
  OpenCounter opened(ContentOf(image));
  OpenCounter source_opened(image.source());
  ImageStore store = Open();
  EXPECT_EQ(opened.Take(), 0);
  // Not failed: nobody is to give the image up.
  EXPECT_FALSE(store.Report()[0].verified());
  EXPECT_EQ(store.Report()[0].error(), "");
  EXPECT_EQ(store.CreateOverlay(Key("d1", 1), image.sha256()).status().code(),
            StatusCode::kNotFound);
  ASSERT_EQ(store.Fetch("tiny", image), absl::OkStatus());
  EXPECT_EQ(opened.Take(), 1);
  EXPECT_EQ(source_opened.Take(), 0);
  EXPECT_TRUE(store.Report()[0].verified());
  EXPECT_EQ(ReadFacts(ContentOf(image))->identity, before.identity);
  // It is known again.
  EXPECT_TRUE(Open().Report()[0].verified());
}

TEST_F(ImageStoreTest, OpenLeavesLeftoversUntilItIsAsked) {
  const v1::Image first = MakeImage("a", "one");
  const v1::Image second = MakeImage("b", "two");
  {
    ImageStore store = Open();
    ASSERT_EQ(store.Fetch("tiny", first), absl::OkStatus());
    ASSERT_TRUE(store.CreateOverlay(Key("d1", 1), first.sha256()).ok());
    ASSERT_TRUE(store.CreateOverlay(Key("d2", 1), first.sha256()).ok());
    ASSERT_EQ(store.Fetch("tiny", second), absl::OkStatus());
    ASSERT_EQ(store.RemoveOverlays("d1", ""), absl::OkStatus());
  }
  // Whoever asks what the overlays stand on opens them.
  OpenCounter opened(Root() + "/overlays/d2/1.qcow2");
  ImageStore store = Open();
  EXPECT_EQ(opened.Take(), 0);
  store.RemoveLeftovers();
  EXPECT_GT(opened.Take(), 0);
  EXPECT_TRUE(fs::exists(ContentOf(first)));
  ASSERT_EQ(store.RemoveOverlays("d2", ""), absl::OkStatus());
  store = Open();
  EXPECT_TRUE(fs::exists(ContentOf(first)));
  store.RemoveLeftovers();
  EXPECT_FALSE(fs::exists(ContentOf(first)));
  EXPECT_TRUE(fs::exists(ContentOf(second)));
  // What was taken for a leftover can be fetched again.
  EXPECT_EQ(store.Fetch("tiny-2", first), absl::OkStatus());
}

}  // namespace
}  // namespace werkplek
