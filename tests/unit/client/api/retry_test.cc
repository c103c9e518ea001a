#include "client/api/retry.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

using absl::StatusCode;

constexpr RetryPolicy kPolicy{.first_delay = absl::Milliseconds(100),
                              .max_delay = absl::Seconds(1),
                              .max_delay_full = absl::Seconds(3),
                              .attempt_timeout = absl::Seconds(10),
                              .budget = absl::Seconds(30),
                              .max_attempts = 50};

RetryPlan::Step Fail(RetryPlan& plan, StatusCode code, double chance = 0,
                     std::optional<absl::Duration> after = std::nullopt,
                     absl::Duration elapsed = absl::ZeroDuration()) {
  return plan.After(code, after, elapsed, chance);
}

TEST(RetryPlan, TriesEachBrokerAtOnceAndWaitsBeforeTheNextRound) {
  RetryPlan plan(kPolicy, 3);
  for (int i = 0; i < 2; ++i) {
    const RetryPlan::Step step = Fail(plan, StatusCode::kUnavailable);
    EXPECT_TRUE(step.retry);
    EXPECT_TRUE(step.next_broker);
    EXPECT_EQ(step.delay, absl::ZeroDuration());
  }
  const RetryPlan::Step last = Fail(plan, StatusCode::kUnavailable);
  EXPECT_TRUE(last.next_broker);
  EXPECT_EQ(last.delay, absl::Milliseconds(50));
}

TEST(RetryPlan, DoublesTheDelayUpToTheLimit) {
  RetryPlan plan(kPolicy, 1);
  std::vector<absl::Duration> delays;
  for (int i = 0; i < 6; ++i) delays.push_back(Fail(plan, StatusCode::kUnavailable).delay);
  EXPECT_EQ(delays,
            (std::vector<absl::Duration>{absl::Milliseconds(50), absl::Milliseconds(100),
                                         absl::Milliseconds(200), absl::Milliseconds(400),
                                         absl::Milliseconds(500), absl::Milliseconds(500)}));
}

TEST(RetryPlan, WaitsLongerWhileABrokerIsFull) {
  RetryPlan plan(kPolicy, 1);
  absl::Duration delay;
  for (int i = 0; i < 8; ++i) delay = Fail(plan, StatusCode::kResourceExhausted).delay;
  EXPECT_EQ(delay, absl::Milliseconds(1500));
}

// What the clients have: somebody who waits for a new leader tries often, and gives up by time.
TEST(RetryPlan, LooksForANewLeaderAtLeastOncePerSecondUntilTheBudgetIsSpent) {
  RetryPlan plan(RetryPolicy{}, 2);
  absl::Duration elapsed;
  for (int i = 0;; ++i) {
    ASSERT_LT(i, 200);
    const RetryPlan::Step step =
        Fail(plan, StatusCode::kUnavailable, 0.99, absl::Milliseconds(200), elapsed);
    if (!step.retry) break;
    EXPECT_LE(step.delay, absl::Seconds(1));
    elapsed += step.delay;
  }
  EXPECT_GT(elapsed, RetryPolicy{}.budget - absl::Seconds(1));
}

TEST(RetryPlan, SpreadsClientsByChance) {
  RetryPlan low(kPolicy, 1);
  RetryPlan high(kPolicy, 1);
  EXPECT_EQ(Fail(low, StatusCode::kUnavailable, 0.0).delay, absl::Milliseconds(50));
  EXPECT_EQ(Fail(high, StatusCode::kUnavailable, 0.5).delay, absl::Milliseconds(75));
}

TEST(RetryPlan, StaysWithABrokerThatIsFullAndWaitsAsLongAsItAsks) {
  RetryPlan plan(kPolicy, 3);
  const RetryPlan::Step step =
      Fail(plan, StatusCode::kResourceExhausted, 0.5, absl::Milliseconds(2000));
  EXPECT_TRUE(step.retry);
  EXPECT_FALSE(step.next_broker);
  EXPECT_EQ(step.delay, absl::Milliseconds(2100));
}

TEST(RetryPlan, GivesUpWhenTheWaitWouldEndAfterTheBudget) {
  RetryPlan plan(kPolicy, 1);
  EXPECT_FALSE(Fail(plan, StatusCode::kResourceExhausted, 0, absl::Seconds(31)).retry);
  RetryPlan late(kPolicy, 1);
  EXPECT_FALSE(Fail(late, StatusCode::kUnavailable, 0, std::nullopt, absl::Seconds(30)).retry);
}

TEST(RetryPlan, GivesUpAfterTheLastAttempt) {
  RetryPolicy policy = kPolicy;
  policy.max_attempts = 2;
  RetryPlan plan(policy, 1);
  EXPECT_TRUE(Fail(plan, StatusCode::kUnavailable).retry);
  EXPECT_FALSE(Fail(plan, StatusCode::kUnavailable).retry);
}

TEST(RetryPlan, RetriesOnlyWhatMayPass) {
  for (int code = 1; code <= 16; ++code) {
    RetryPlan plan(kPolicy, 1);
    const auto status = static_cast<StatusCode>(code);
    const bool may_pass = status == StatusCode::kUnavailable ||
                          status == StatusCode::kResourceExhausted ||
                          status == StatusCode::kDeadlineExceeded;
    EXPECT_EQ(Fail(plan, status).retry, may_pass) << code;
  }
}

TEST(RetryPlan, CountsAnewAfterSomethingGoodCame) {
  RetryPlan plan(kPolicy, 1);
  for (int i = 0; i < 5; ++i) Fail(plan, StatusCode::kUnavailable);
  plan.Reset();
  EXPECT_EQ(plan.attempts(), 0);
  EXPECT_EQ(Fail(plan, StatusCode::kUnavailable).delay, absl::Milliseconds(50));
}

}  // namespace
}  // namespace werkplek
