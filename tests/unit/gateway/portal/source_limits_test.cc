// How much the browsers of one address may ask.
#include "gateway/portal/source_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/portal/portal_server.h"

namespace werkplek {
namespace {

using Asked = SourceLimits::Asked;
using testing::ElementsAre;

constexpr char kHall[] = "192.0.2.7";
constexpr char kStranger[] = "2001:db8:0:7::/64";

absl::Duration At(double seconds) { return absl::Seconds(1000) + absl::Seconds(seconds); }

class SourceLimitsTest : public testing::Test {
 protected:
  // How many of `count` at once may.
  static int Granted(SourceLimits& limits, Asked what, const char* source, int count,
                     absl::Duration now) {
    int granted = 0;
    for (int i = 0; i < count; ++i) granted += limits.Take(what, source, now) == absl::Duration();
    return granted;
  }

  Metrics metrics_;
};

TEST_F(SourceLimitsTest, EachAddressAndEachKindHasItsOwn) {
  SourceLimits limits({.per_second = 1, .burst = 2}, {.per_second = 1, .burst = 3}, &metrics_);
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kStranger, 10, At(0)), 2);
  EXPECT_EQ(Granted(limits, Asked::kOther, kStranger, 10, At(0)), 3);
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kHall, 10, At(0)), 2);
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kStranger, 10, At(1)), 1) << "one came back";
}

TEST_F(SourceLimitsTest, APersonIsNeverToldToTryAgainAtOnce) {
  SourceLimits limits({.per_second = 10, .burst = 1}, {.per_second = 0.1, .burst = 1}, &metrics_);
  EXPECT_EQ(limits.Take(Asked::kSignIn, kHall, At(0)), absl::ZeroDuration());
  EXPECT_EQ(limits.Take(Asked::kSignIn, kHall, At(0)), absl::Seconds(5));
  EXPECT_EQ(limits.Take(Asked::kOther, kHall, At(0)), absl::ZeroDuration());
  EXPECT_EQ(limits.Take(Asked::kOther, kHall, At(0)), absl::Seconds(10));
}

TEST_F(SourceLimitsTest, RefusalsAreLoggedRarely) {
  std::vector<std::string> lines;
  SetLogSink([&](const std::string& line) { lines.push_back(line); });
  SourceLimits limits({.per_second = 0.01, .burst = 1}, {}, &metrics_);
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kStranger, 101, At(0)), 1);
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kStranger, 1, At(1)), 0);
  SetLogSink(nullptr);
  EXPECT_THAT(
      lines,
      ElementsAre(
          "event=request-refused port=portal address=2001:db8:0:7::/64 limit=sign-ins more=0",
          "event=request-refused port=portal address=2001:db8:0:7::/64 limit=sign-ins more=99"));
}

// Two hundred people at nine o'clock: each mistypes once, and their gateway's death brings all of
// their displays back at once, a try of each every two seconds as long as no broker answers.
TEST_F(SourceLimitsTest, ATownHallDoesNotMeetTheDefaultsAndAStrangerDoes) {
  const PortalOptions options;
  SourceLimits limits(options.sign_ins_per_address, options.requests_per_address, &metrics_);
  constexpr int kPeople = 200;
  EXPECT_EQ(Granted(limits, Asked::kSignIn, kHall, 2 * kPeople, At(0)), 2 * kPeople);
  EXPECT_EQ(Granted(limits, Asked::kOther, kHall, 6 * kPeople, At(0)), 6 * kPeople);
  for (int second = 2; second < 120; second += 2) {
    EXPECT_EQ(Granted(limits, Asked::kOther, kHall, kPeople, At(second)), kPeople) << second;
  }
  int stranger = 0;
  for (int second = 0; second < 100; ++second) {
    stranger += Granted(limits, Asked::kSignIn, kStranger, 1000, At(second));
  }
  EXPECT_LT(stranger, 1700) << "a twelfth of what the brokers take from the gateway meanwhile";
}

}  // namespace
}  // namespace werkplek
