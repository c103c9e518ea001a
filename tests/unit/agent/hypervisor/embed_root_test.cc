#include "agent/hypervisor/embed_root.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

TEST(EmbedRootTest, UrisAndBack) {
  EXPECT_EQ(EmbedUri("/srv/hv a&b%?é"), "qemu:///embed?root=/srv/hv%20a%26b%25%3F%C3%A9");
  for (const char* root : {"/srv/hv", "/srv/hv a&b%?é=#", "/"}) {
    EXPECT_EQ(EmbedRootOf(EmbedUri(root)), root);
  }
  EXPECT_EQ(EmbedRootOf("qemu:///embed?x=y&root=/a"), "/a");
  EXPECT_EQ(EmbedRootOf("qemu:///embed?root=%2"), "%2");
  EXPECT_EQ(EmbedRootOf("qemu:///system"), std::nullopt);
  EXPECT_EQ(EmbedRootOf("test:///default"), std::nullopt);
  EXPECT_EQ(EmbedRootOf("qemu:///embed?"), std::nullopt);
}

TEST(EmbedRootTest, ANewRootGetsItsConfigurationAndAnOldOneKeepsIt) {
  TemporaryFolder folder;
  const std::string root = folder.File("hv a");
  const absl::Status made = PrepareEmbedRoot(root);
  if (absl::IsFailedPrecondition(made)) GTEST_SKIP() << made;
  ASSERT_EQ(made, absl::OkStatus());
  const std::string conf = root + "/etc/qemu.conf";
  EXPECT_THAT(ReadWholeFile(conf), testing::HasSubstr("stdio_handler = \"file\""));
  folder.Write("hv a/etc/qemu.conf", "# mine\n");
  ASSERT_EQ(PrepareEmbedRoot(root), absl::OkStatus());
  EXPECT_EQ(ReadWholeFile(conf), "# mine\n");
}

TEST(EmbedRootTest, RootsThatCannotWorkAreRefused) {
  for (const std::string& root : {std::string("hv"), "/" + std::string(kMaxEmbedRootBytes, 'x')}) {
    const absl::Status status = PrepareEmbedRoot(root);
    EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status)) << status;
    EXPECT_FALSE(std::filesystem::exists(root));
  }
}

}  // namespace
}  // namespace werkplek
