#include "broker/reconcile/liveness.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

v1::Liveness After(absl::Duration silence, bool heard) {
  return LivenessOf(silence, heard, absl::Seconds(3), absl::Seconds(10));
}

TEST(LivenessTest, SilenceTells) {
  EXPECT_EQ(After(absl::ZeroDuration(), true), v1::LIVENESS_UP);
  EXPECT_EQ(After(absl::Milliseconds(2999), true), v1::LIVENESS_UP);
  EXPECT_EQ(After(absl::Seconds(3), true), v1::LIVENESS_SUSPECT);
  EXPECT_EQ(After(absl::Milliseconds(9999), true), v1::LIVENESS_SUSPECT);
  EXPECT_EQ(After(absl::Seconds(10), true), v1::LIVENESS_DOWN);
  EXPECT_EQ(After(absl::InfiniteDuration(), true), v1::LIVENESS_DOWN);
}

TEST(LivenessTest, WhoWasNeverHeardIsSuspectUntilDown) {
  EXPECT_EQ(After(absl::ZeroDuration(), false), v1::LIVENESS_SUSPECT);
  EXPECT_EQ(After(absl::Milliseconds(9999), false), v1::LIVENESS_SUSPECT);
  EXPECT_EQ(After(absl::Seconds(10), false), v1::LIVENESS_DOWN);
}

TEST(LivenessTest, AClockThatWentBackKillsNobody) {
  EXPECT_EQ(After(absl::Seconds(-3600), true), v1::LIVENESS_UP);
}

}  // namespace
}  // namespace werkplek
