// Disks by their keys: a kept one outlives generations.
#include "agent/image/disk_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/image/image_file.h"
#include "agent/image/image_store.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

using absl::StatusCode;

DiskKey Key(uint64_t generation, bool kept) { return {"d1", generation, "", kept}; }

TEST(DiskFileTest, NamesAreOfFoldersAndKeptOnesHaveNoGeneration) {
  EXPECT_EQ(*DiskPath("/o", Key(7, false)), "/o/d1/7.qcow2");
  EXPECT_EQ(*DiskPath("/o", Key(7, true)), "/o/d1/disk.qcow2");
  EXPECT_EQ(DiskPath("/o", {"../d1", 7, "", false}).status().code(), StatusCode::kInvalidArgument);
}

TEST(DiskFileTest, AKeptDiskIsReplacedOnlyByANewOne) {
  TemporaryFolder folder;
  ImageRecord record;
  record.sha256 = std::string(64, 'a');
  record.format = "raw";
  const std::string content = folder.Write("image", std::string(65536, 'x'));
  const std::string overlays = folder.File("overlays");
  EXPECT_EQ(FindDisk(overlays, Key(1, true)).status().code(), StatusCode::kNotFound);
  const auto first = MakeDisk(overlays, Key(1, true), content, record);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*FindDisk(overlays, Key(5, true)), first->path);
  const auto second = MakeDisk(overlays, Key(6, true), content, record);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->path, first->path);
  EXPECT_NE(second->identity, first->identity);
  EXPECT_EQ(second->backing_sha256, record.sha256);
  // One that cannot be made leaves the old one, and nothing beside it.
  EXPECT_FALSE(MakeDisk(overlays, Key(7, true), folder.File("none"), record).ok());
  EXPECT_EQ(ReadFacts(*FindDisk(overlays, Key(7, true)))->identity, second->identity);
  EXPECT_EQ(ReadFacts(first->path + ".new").status().code(), StatusCode::kNotFound);
}

TEST(DiskFileTest, TheHostsOwnStoreFindsAndRemovesKeptDisks) {
  TemporaryFolder folder;
  auto store = ImageStore::Open(folder.File("store"));
  ASSERT_TRUE(store.ok()) << store.status();
  v1::Image image;
  image.set_source(folder.Write("image", std::string(65536, 'x')));
  image.set_sha256(*HashFile(image.source()));
  image.set_format("raw");
  ASSERT_EQ(store->Fetch("tiny", image), absl::OkStatus());
  ASSERT_TRUE(store->CreateOverlay(Key(1, true), image.sha256()).ok());
  EXPECT_TRUE(store->FindDisk(Key(2, true)).ok());
  EXPECT_EQ(store->Drop("tiny").code(), StatusCode::kFailedPrecondition);
  ASSERT_EQ(store->RemoveOverlays("d1", ""), absl::OkStatus());
  EXPECT_EQ(store->FindDisk(Key(2, true)).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace werkplek
