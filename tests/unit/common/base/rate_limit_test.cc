#include "common/base/rate_limit.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

absl::Duration At(double seconds) { return absl::Seconds(1000) + absl::Seconds(seconds); }

TEST(RateLimit, GivesTheBurstThenTheRate) {
  RateLimit limit({.per_second = 2, .burst = 3});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take("a", At(0)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("a", At(0)), absl::Milliseconds(500));
  EXPECT_EQ(limit.Take("a", At(0.25)), absl::Milliseconds(250));
  EXPECT_EQ(limit.Take("a", At(0.5)), absl::ZeroDuration());
  EXPECT_GT(limit.Take("a", At(0.5)), absl::ZeroDuration());
}

TEST(RateLimit, KeysHaveTheirOwnBuckets) {
  RateLimit limit({.per_second = 1, .burst = 1});
  EXPECT_EQ(limit.Take("a", At(0)), absl::ZeroDuration());
  EXPECT_GT(limit.Take("a", At(0)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("b", At(0)), absl::ZeroDuration());
}

TEST(RateLimit, AFullBucketHoldsNoMoreThanTheBurst) {
  RateLimit limit({.per_second = 10, .burst = 2});
  EXPECT_EQ(limit.Take("a", At(0)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("a", At(3600)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("a", At(3600)), absl::ZeroDuration());
  EXPECT_GT(limit.Take("a", At(3600)), absl::ZeroDuration());
}

TEST(RateLimit, RefusedTakesCostNothing) {
  RateLimit limit({.per_second = 1, .burst = 1});
  EXPECT_EQ(limit.Take("a", At(0)), absl::ZeroDuration());
  for (int i = 0; i < 100; ++i) EXPECT_GT(limit.Take("a", At(0.5)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take("a", At(1)), absl::ZeroDuration());
}

TEST(RateLimit, RemembersABoundedNumberOfKeys) {
  RateLimit limit({.per_second = 1, .burst = 2, .max_keys = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limit.Take(absl::StrCat("k", i), At(0)), absl::ZeroDuration());
  }
  EXPECT_GT(limit.Take("k3", At(0)), absl::ZeroDuration());
  // After a second the three buckets are full again and need not be remembered.
  EXPECT_EQ(limit.Take("k3", At(1)), absl::ZeroDuration());
}

}  // namespace
}  // namespace werkplek
