#include "common/base/words.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(WordsTest, OneThingHasNoS) {
  EXPECT_EQ(CountOf(0, "desktop"), "0 desktops");
  EXPECT_EQ(CountOf(1, "desktop"), "1 desktop");
  EXPECT_EQ(CountOf(2, "desktop"), "2 desktops");
}

TEST(WordsTest, TimesAreRoundedToWhatMatters) {
  EXPECT_EQ(RoughTime(absl::Nanoseconds(3134258462)), "3 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(3500)), "4 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(300)), "0.3 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(1)), "0.1 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(949)), "0.9 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(950)), "1 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(59'400)), "59 s");
  EXPECT_EQ(RoughTime(absl::Milliseconds(59'600)), "1 min");
  EXPECT_EQ(RoughTime(absl::Seconds(90)), "1 min 30 s");
  EXPECT_EQ(RoughTime(absl::Minutes(3)), "3 min");
  EXPECT_EQ(RoughTime(absl::Seconds(3599)), "59 min 59 s");
  EXPECT_EQ(RoughTime(absl::Minutes(125)), "2 h 5 min");
  EXPECT_EQ(RoughTime(absl::Hours(12)), "12 h");
}

TEST(WordsTest, OddTimes) {
  EXPECT_EQ(RoughTime(absl::ZeroDuration()), "0 s");
  EXPECT_EQ(RoughTime(-absl::Seconds(5)), "0 s");
  EXPECT_EQ(RoughTime(absl::InfiniteDuration()), "for ever");
}

}  // namespace
}  // namespace werkplek
