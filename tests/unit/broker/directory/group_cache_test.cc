#include "broker/directory/group_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

using testing::ElementsAre;

GroupList List(std::vector<std::string> groups) {
  return std::make_shared<const std::vector<std::string>>(std::move(groups));
}

TEST(GroupCacheTest, KeepsForItsTimeFromTheQuestionOn) {
  GroupCache cache(absl::Seconds(30), 100);
  cache.Put("uid=jan", List({"cn=a"}), absl::Seconds(10));
  ASSERT_NE(cache.Find("uid=jan", absl::Seconds(39)), nullptr);
  EXPECT_THAT(*cache.Find("UID=Jan", absl::Seconds(39)), ElementsAre("cn=a"));
  EXPECT_EQ(cache.Find("uid=piet", absl::Seconds(11)), nullptr);
  EXPECT_EQ(cache.Find("uid=jan", absl::Seconds(40)), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

TEST(GroupCacheTest, TheNewerAnswerStays) {
  GroupCache cache(absl::Seconds(30), 100);
  cache.Put("uid=jan", List({"cn=new"}), absl::Seconds(20));
  cache.Put("uid=jan", List({"cn=old"}), absl::Seconds(10));
  EXPECT_THAT(*cache.Find("uid=jan", absl::Seconds(21)), ElementsAre("cn=new"));
  cache.Put("uid=jan", List({"cn=newest"}), absl::Seconds(30));
  EXPECT_THAT(*cache.Find("uid=jan", absl::Seconds(55)), ElementsAre("cn=newest"));
  EXPECT_EQ(cache.Find("uid=jan", absl::Seconds(60)), nullptr);
}

TEST(GroupCacheTest, NeverHoldsMoreThanItMay) {
  GroupCache cache(absl::Seconds(30), 10);
  for (int i = 0; i < 1000; ++i) {
    cache.Put(absl::StrCat("uid=", i % 25), List({"cn=a"}), absl::Milliseconds(i));
    EXPECT_LE(cache.size(), 10u);
  }
  EXPECT_NE(cache.Find("uid=24", absl::Seconds(1)), nullptr);
}

}  // namespace
}  // namespace werkplek
