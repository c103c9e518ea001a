#include "broker/reconcile/disconnect.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

const absl::Time kGone = absl::FromUnixSeconds(1000);

DisconnectVerdict Judge(uint32_t suspend_after_s, uint32_t end_after_s, bool suspended,
                        int after_s) {
  v1::DisconnectPolicy policy;
  policy.set_suspend_after_s(suspend_after_s);
  policy.set_end_after_s(end_after_s);
  return JudgeDisconnected(policy, kGone, suspended, kGone + absl::Seconds(after_s));
}

TEST(DisconnectTest, WithoutAPolicyNothingEverHappens) {
  const auto verdict = Judge(0, 0, false, 1'000'000);
  EXPECT_EQ(verdict.step, DisconnectStep::kNothing);
  EXPECT_EQ(verdict.next, absl::InfiniteFuture());
}

TEST(DisconnectTest, SuspendsThenEnds) {
  auto verdict = Judge(60, 600, false, 59);
  EXPECT_EQ(verdict.step, DisconnectStep::kNothing);
  EXPECT_EQ(verdict.next, kGone + absl::Seconds(60));
  verdict = Judge(60, 600, false, 60);
  EXPECT_EQ(verdict.step, DisconnectStep::kSuspend);
  EXPECT_EQ(verdict.next, kGone + absl::Seconds(600));
  verdict = Judge(60, 600, true, 61);
  EXPECT_EQ(verdict.step, DisconnectStep::kNothing);
  EXPECT_EQ(verdict.next, kGone + absl::Seconds(600));
  EXPECT_EQ(Judge(60, 600, true, 600).step, DisconnectStep::kEnd);
  EXPECT_EQ(Judge(60, 600, false, 600).step, DisconnectStep::kEnd);
}

TEST(DisconnectTest, EitherAlone) {
  EXPECT_EQ(Judge(60, 0, false, 60).step, DisconnectStep::kSuspend);
  EXPECT_EQ(Judge(60, 0, true, 6000).step, DisconnectStep::kNothing);
  EXPECT_EQ(Judge(60, 0, true, 6000).next, absl::InfiniteFuture());
  EXPECT_EQ(Judge(0, 60, false, 59).step, DisconnectStep::kNothing);
  EXPECT_EQ(Judge(0, 60, false, 60).step, DisconnectStep::kEnd);
}

}  // namespace
}  // namespace werkplek
