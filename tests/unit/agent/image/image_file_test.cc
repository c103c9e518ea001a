#include "agent/image/image_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/crypto.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

TEST(ImageFileTest, HolesKeepTheContent) {
  TemporaryFolder folder;
  const std::string content =
      "head" + std::string(3 << 20, '\0') + "tail" + std::string(2 << 20, '\0');
  const std::string source = folder.Write("source", content);
  const auto digest = CopyAndHash(source, folder.File("copy"));
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, HexEncode(Sha256(content)));
  EXPECT_EQ(ReadWholeFile(folder.File("copy")), content);
  struct stat stat;
  ASSERT_EQ(::stat(folder.File("copy").c_str(), &stat), 0);
  EXPECT_LT(stat.st_blocks * 512, 4 << 20);
  EXPECT_EQ(CopyAndHash(source, folder.File("copy")).status().code(),
            absl::StatusCode::kAlreadyExists);
}

}  // namespace
}  // namespace werkplek
