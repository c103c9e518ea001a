#include "broker/etcd/clock_offset.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

// Our readings, in seconds since 1970, and the whole second that the other one said.
absl::Duration OffsetOf(double asked, int64_t said, double answered) {
  const auto at = [](double seconds) { return absl::UnixEpoch() + absl::Seconds(seconds); };
  return SureOffset({at(asked), absl::FromUnixSeconds(said), at(answered)});
}

TEST(ClockOffset, TheSameTimeIsNoOffset) {
  EXPECT_EQ(OffsetOf(100.2, 100, 100.3), absl::ZeroDuration());
  // A second may have begun in between, here or there.
  EXPECT_EQ(OffsetOf(100.9, 101, 101.1), absl::ZeroDuration());
  EXPECT_EQ(OffsetOf(100.9, 100, 101.1), absl::ZeroDuration());
  EXPECT_EQ(OffsetOf(100.0, 100, 100.0), absl::ZeroDuration());
}

TEST(ClockOffset, WhatTheAnswerTookIsNotHeldAgainstAnybody) {
  EXPECT_EQ(OffsetOf(100, 103, 104), absl::ZeroDuration());
  EXPECT_EQ(OffsetOf(100, 108, 104), absl::Seconds(4));
}

TEST(ClockOffset, AnHourIsSeenEitherWay) {
  EXPECT_EQ(OffsetOf(100, 3700, 100.5), absl::Seconds(3599.5));
  EXPECT_EQ(OffsetOf(3700, 100, 3700.5), -absl::Seconds(3599));
}

bool Off(std::vector<int> seconds) {
  std::vector<absl::Duration> offsets;
  for (const int one : seconds) offsets.push_back(absl::Seconds(one));
  return ClockIsOff(offsets, absl::Seconds(2));
}

TEST(ClockOffset, MostOfTheOthersDecide) {
  EXPECT_TRUE(Off({3600, 3600, 3600}));
  EXPECT_TRUE(Off({-3, -3, 0}));
  EXPECT_TRUE(Off({3, -3}));
  EXPECT_FALSE(Off({3600, 0, 0})) << "one member is wrong";
  EXPECT_FALSE(Off({3600, 0})) << "as many say the one as the other";
  EXPECT_FALSE(Off({2, -2, 2})) << "within what is allowed";
}

TEST(ClockOffset, OneOrNoneProvesNothing) {
  EXPECT_FALSE(Off({}));
  EXPECT_FALSE(Off({3600}));
}

}  // namespace
}  // namespace werkplek
