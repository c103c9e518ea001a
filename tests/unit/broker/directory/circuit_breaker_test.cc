#include "broker/directory/circuit_breaker.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

absl::Duration At(double seconds) { return absl::Seconds(100) + absl::Seconds(seconds); }

TEST(CircuitBreakerTest, TenTimeoutsInTenSecondsOpenIt) {
  CircuitBreaker breaker;
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(breaker.TimedOut(At(i)));
  EXPECT_FALSE(breaker.open());
  EXPECT_TRUE(breaker.TimedOut(At(10)));
  EXPECT_TRUE(breaker.open());
  EXPECT_FALSE(breaker.TimedOut(At(10)));
}

TEST(CircuitBreakerTest, RareTimeoutsDoNot) {
  CircuitBreaker breaker;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(breaker.TimedOut(At(i * 1.2)));
  EXPECT_FALSE(breaker.open());
}

TEST(CircuitBreakerTest, ProbesEveryFiveSecondsUntilOneSucceeds) {
  CircuitBreaker breaker;
  EXPECT_FALSE(breaker.TakeProbe(At(0)));
  for (int i = 0; i < 10; ++i) breaker.TimedOut(At(0));
  EXPECT_FALSE(breaker.TakeProbe(At(4.9)));
  EXPECT_TRUE(breaker.TakeProbe(At(5)));
  EXPECT_FALSE(breaker.TakeProbe(At(9.9)));
  EXPECT_TRUE(breaker.TakeProbe(At(10)));
  EXPECT_TRUE(breaker.open());
  breaker.Connected();
  EXPECT_FALSE(breaker.open());
  EXPECT_FALSE(breaker.suspect());
  EXPECT_FALSE(breaker.TakeProbe(At(100)));
  // Old failures do not count twice.
  EXPECT_FALSE(breaker.TimedOut(At(101)));
}

TEST(CircuitBreakerTest, AFailedConnectMakesSuspectAndIsProbed) {
  CircuitBreaker breaker;
  EXPECT_FALSE(breaker.ConnectFailed(At(0)));
  EXPECT_TRUE(breaker.suspect());
  EXPECT_FALSE(breaker.open());
  // Further failures do not push the probe away.
  breaker.ConnectFailed(At(4));
  EXPECT_TRUE(breaker.TakeProbe(At(5)));
  breaker.Connected();
  EXPECT_FALSE(breaker.suspect());
}

TEST(CircuitBreakerTest, FailedConnectsOpenItToo) {
  CircuitBreaker breaker;
  for (int i = 0; i < 9; ++i) EXPECT_FALSE(breaker.ConnectFailed(At(0)));
  EXPECT_TRUE(breaker.ConnectFailed(At(1)));
  EXPECT_TRUE(breaker.open());
}

}  // namespace
}  // namespace werkplek
