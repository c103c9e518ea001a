#include "agent/image/image_declaration.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(SourcePathTest, AUrlIsUndoneAndAPathIsNot) {
  EXPECT_EQ(*SourcePath("/images/a%20b"), "/images/a%20b");
  EXPECT_EQ(*SourcePath("file:///images/a%20b"), "/images/a b");
  EXPECT_EQ(*SourcePath("file://localhost/images/%2e%2E/a"), "/images/../a");
  for (const char* bad :
       {"", "images/a", "file://elsewhere/a", "file:///%zz", "file:///%2", "file:///%00"}) {
    EXPECT_EQ(SourcePath(bad).status().code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(LiesInTest, OnlyWhatIsBelowAFolderAndClimbsNowhere) {
  const std::vector<std::string> folders = {"/images", "/srv/more/"};
  for (const char* good :
       {"/images/a", "/images/a/b", "/images//a", "/srv/more/a", "/images/..a"}) {
    EXPECT_TRUE(LiesIn(good, folders)) << good;
  }
  for (const char* bad : {"/images", "/imagesandmore/a", "/images/../a", "/images/a/..", "/srv/a",
                          "", "images/a", "/images/a/../b"}) {
    EXPECT_FALSE(LiesIn(bad, folders)) << bad;
  }
  EXPECT_FALSE(LiesIn("/images/a", {}));
}

}  // namespace
}  // namespace werkplek
