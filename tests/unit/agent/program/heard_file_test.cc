#include "agent/program/heard_file.h"

#include <gtest/gtest.h>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

class HeardFileTest : public testing::Test {
 protected:
  bool IsNever(const HeardState& heard) const {
    return heard.heard_at == -absl::InfiniteDuration() && heard.fence_after == absl::ZeroDuration();
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("heard");
};

TEST_F(HeardFileTest, TheNextRunOfTheBootFindsIt) {
  const HeardState heard = {absl::Milliseconds(123'456), absl::Seconds(10)};
  ASSERT_EQ(WriteHeardFile(path_, "boot-1", heard), absl::OkStatus());
  const HeardState found = ReadHeardFile(path_, "boot-1");
  EXPECT_EQ(found.heard_at, heard.heard_at);
  EXPECT_EQ(found.fence_after, heard.fence_after);
  ASSERT_EQ(WriteHeardFile(path_, "boot-1", {absl::Seconds(200), absl::Seconds(5)}),
            absl::OkStatus());
  EXPECT_EQ(ReadHeardFile(path_, "boot-1").fence_after, absl::Seconds(5));
}

TEST_F(HeardFileTest, AnotherBootOrADamagedFileIsNever) {
  EXPECT_TRUE(IsNever(ReadHeardFile(path_, "boot-1")));
  ASSERT_EQ(WriteHeardFile(path_, "boot-1", {absl::Seconds(1), absl::Seconds(10)}),
            absl::OkStatus());
  EXPECT_TRUE(IsNever(ReadHeardFile(path_, "boot-2")));
  for (const char* text : {"", "boot-1", "boot-1 5 10", "boot-1 5 end", "boot-1 x 10 end",
                           "boot-1 5 0 end", "boot-1 5 -1 end"}) {
    folder_.Write("heard", text);
    EXPECT_TRUE(IsNever(ReadHeardFile(path_, "boot-1"))) << text;
  }
}

TEST_F(HeardFileTest, AFolderThatIsNotThereIsSaid) {
  EXPECT_FALSE(WriteHeardFile(folder_.File("none/heard"), "boot-1", {}).ok());
}

}  // namespace
}  // namespace werkplek
