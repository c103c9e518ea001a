#include "agent/core/at_hand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Step = AtHand::Step;

constexpr absl::Duration kInterval = absl::Seconds(5);
constexpr absl::Duration kPatience = absl::Seconds(10);

AtHand Two() { return AtHand({"b", "a"}, kInterval, kPatience); }

TEST(AtHandTest, NothingIsAskedOfAHostThatNamesNothing) {
  AtHand none({}, kInterval, kPatience);
  EXPECT_EQ(none.Due(absl::Hours(1)), Step::kNothing);
  EXPECT_EQ(none.wake_at(absl::Hours(1)), absl::InfiniteDuration());
  EXPECT_TRUE(none.Has(""));
  EXPECT_FALSE(none.Has("a"));
}

TEST(AtHandTest, AskedAtOnceAndThenAtTheInterval) {
  AtHand two = Two();
  EXPECT_EQ(two.Due(absl::Seconds(1)), Step::kAsk);
  EXPECT_EQ(two.Due(absl::Seconds(1)), Step::kNothing) << "the answer is awaited";
  EXPECT_TRUE(two.Answered({"a"}));
  EXPECT_EQ(two.wake_at(absl::Seconds(2)), absl::Seconds(6));
  EXPECT_EQ(two.Due(absl::Seconds(5)), Step::kNothing);
  EXPECT_EQ(two.Due(absl::Seconds(6)), Step::kAsk);
  EXPECT_FALSE(two.Answered({"a"})) << "no news";
}

TEST(AtHandTest, OnlyWhatIsConfiguredInByteOrder) {
  AtHand two = Two();
  two.Answered({"c", "b", "a"});
  EXPECT_THAT(two.names(), ElementsAre("a", "b"));
  EXPECT_FALSE(two.Has("c"));
}

TEST(AtHandTest, WhileAnAnswerIsOverdueNothingIsAtHand) {
  AtHand two = Two();
  ASSERT_EQ(two.Due(absl::Seconds(0)), Step::kAsk);
  two.Answered({"a", "b"});
  ASSERT_EQ(two.Due(absl::Seconds(5)), Step::kAsk);
  EXPECT_EQ(two.wake_at(absl::Seconds(5)), absl::Seconds(15));
  EXPECT_EQ(two.Due(absl::Seconds(14)), Step::kNothing);
  EXPECT_TRUE(two.Has("a"));
  EXPECT_EQ(two.Due(absl::Seconds(15)), Step::kGaveUp);
  EXPECT_THAT(two.names(), IsEmpty());
  EXPECT_EQ(two.Due(absl::Seconds(16)), Step::kNothing) << "told once";
  EXPECT_EQ(two.wake_at(absl::Seconds(16)), absl::InfiniteDuration());
  EXPECT_TRUE(two.Answered({"b"}));
  EXPECT_EQ(two.Due(absl::Seconds(17)), Step::kAsk);
}

}  // namespace
}  // namespace werkplek
