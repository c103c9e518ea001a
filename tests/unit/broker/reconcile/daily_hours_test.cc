#include "broker/reconcile/daily_hours.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

absl::Time At(int hour, int minute, absl::TimeZone zone = absl::UTCTimeZone()) {
  return absl::FromCivil(absl::CivilSecond(2026, 11, 25, hour, minute, 0), zone);
}

TEST(DailyHoursTest, ADayGoesFromItsFirstMinuteToTheOneBeforeItsLast) {
  const DailyHours hours{9 * 60, 17 * 60 + 30};
  EXPECT_FALSE(IsWithin(hours, At(8, 59)));
  EXPECT_TRUE(IsWithin(hours, At(9, 0)));
  EXPECT_TRUE(IsWithin(hours, At(17, 29)));
  EXPECT_FALSE(IsWithin(hours, At(17, 30)));
}

TEST(DailyHoursTest, ANightGoesPastMidnight) {
  const DailyHours hours{22 * 60, 6 * 60};
  EXPECT_FALSE(IsWithin(hours, At(21, 59)));
  EXPECT_TRUE(IsWithin(hours, At(22, 0)));
  EXPECT_TRUE(IsWithin(hours, At(0, 0)));
  EXPECT_TRUE(IsWithin(hours, At(5, 59)));
  EXPECT_FALSE(IsWithin(hours, At(6, 0)));
}

TEST(DailyHoursTest, TheClocksOfThePlaceCount) {
  const absl::TimeZone east = absl::FixedTimeZone(2 * 3600);
  const DailyHours hours{22 * 60, 6 * 60, east};
  EXPECT_TRUE(IsWithin(hours, At(20, 0)));
  EXPECT_FALSE(IsWithin(hours, At(19, 59)));
  EXPECT_FALSE(IsWithin(hours, At(4, 0)));
  EXPECT_TRUE(IsWithin(hours, At(22, 0, east)));
}

}  // namespace
}  // namespace werkplek
