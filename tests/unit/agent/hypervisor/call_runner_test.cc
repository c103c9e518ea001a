#include "agent/hypervisor/call_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

namespace werkplek {
namespace {

using absl::StatusCode;
constexpr absl::Duration kLong = absl::Seconds(30);
constexpr absl::Duration kShort = absl::Milliseconds(20);

// A call that stays until it is let go.
struct Gate {
  std::promise<void> opened;
  std::shared_future<void> open = opened.get_future().share();
  std::promise<void> entered;
  absl::Status Pass() {
    entered.set_value();
    open.wait();
    return absl::OkStatus();
  }
};

TEST(CallRunnerTest, GivesTheCallsAnswer) {
  CallRunner runner("test", 2, 8);
  EXPECT_EQ(runner.Run("d1", "start", kLong, [] { return absl::OkStatus(); }), absl::OkStatus());
  EXPECT_EQ(runner.Run("d1", "start", kLong, [] { return absl::AbortedError("x"); }).code(),
            StatusCode::kAborted);
  EXPECT_EQ(*runner.RunFor<int>("d1", "read", kLong, [] { return absl::StatusOr<int>(5); }), 5);
}

TEST(CallRunnerTest, AStuckCallKeepsItsKeyAndNothingElse) {
  CallRunner runner("test", 3, 8);
  Gate gate;
  // Long enough for the call to begin in it.
  const absl::Status stuck =
      runner.Run("d1", "save", absl::Seconds(1), [&] { return gate.Pass(); });
  EXPECT_EQ(stuck.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(stuck.message()), testing::HasSubstr("save of d1"));
  const absl::Status behind = runner.Run("d1", "start", kShort, [] { return absl::OkStatus(); });
  EXPECT_EQ(behind.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(behind.message()), testing::HasSubstr("waited for the running save"));
  EXPECT_EQ(runner.Run("d2", "start", kLong, [] { return absl::OkStatus(); }), absl::OkStatus());
  EXPECT_EQ(runner.Run("", "list", kLong, [] { return absl::OkStatus(); }), absl::OkStatus());
  gate.opened.set_value();
  EXPECT_EQ(runner.Run("d1", "start", kLong, [] { return absl::OkStatus(); }), absl::OkStatus());
}

TEST(CallRunnerTest, ACallThatNobodyWaitsForAnyMoreDoesNotRun) {
  std::atomic<bool> ran{false};
  {
    CallRunner runner("test", 1, 8);
    Gate gate;
    std::thread first([&] {
      EXPECT_EQ(runner.Run("d1", "save", kLong, [&] { return gate.Pass(); }), absl::OkStatus());
    });
    gate.entered.get_future().wait();
    const absl::Status late = runner.Run("d2", "start", kShort, [&] {
      ran = true;
      return absl::OkStatus();
    });
    EXPECT_EQ(late.code(), StatusCode::kDeadlineExceeded);
    gate.opened.set_value();
    first.join();
    EXPECT_EQ(runner.Run("d2", "start", kLong, [] { return absl::OkStatus(); }), absl::OkStatus());
  }
  EXPECT_FALSE(ran);
}

TEST(CallRunnerTest, TooManyWaitingAreToldAtOnce) {
  CallRunner runner("test", 1, 0);
  const absl::Status status = runner.Run("d1", "start", kLong, [] { return absl::OkStatus(); });
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  // The key is free again: the next is refused for the same reason, not for a taken key.
  EXPECT_EQ(runner.Run("d1", "start", kLong, [] { return absl::OkStatus(); }).code(),
            StatusCode::kResourceExhausted);
}

TEST(CallRunnerTest, OneAtATimeForEachKey) {
  CallRunner runner("test", 8, 64);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        EXPECT_EQ(runner.Run("d1", "work", kLong,
                             [&] {
                               const int now = ++inside;
                               int seen = most;
                               while (now > seen && !most.compare_exchange_weak(seen, now)) {
                               }
                               std::this_thread::yield();
                               --inside;
                               return absl::OkStatus();
                             }),
                  absl::OkStatus());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

}  // namespace
}  // namespace werkplek
