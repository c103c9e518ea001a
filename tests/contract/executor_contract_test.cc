// What every Executor promises, run on the real one and on the fake.
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/manual_executor.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

// One executor with a way to let it run until `done` holds.
struct Subject {
  std::string name;
  std::function<std::unique_ptr<Executor>()> make;
  // Waits until the future is ready; fails the test after a deadline.
  std::function<void(Executor&, std::future<void>&)> run_until;
};

void RunLoop(Executor&, std::future<void>& done) {
  ASSERT_EQ(done.wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

void RunManual(Executor& executor, std::future<void>& done) {
  auto& manual = static_cast<ManualExecutor&>(executor);
  while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    ASSERT_TRUE(manual.RunOne()) << "nothing left to run";
  }
}

class ExecutorContract : public ::testing::TestWithParam<Subject> {
 protected:
  void SetUp() override { executor_ = GetParam().make(); }
  void RunUntil(std::promise<void>& promise) {
    std::future<void> done = promise.get_future();
    GetParam().run_until(*executor_, done);
  }
  std::unique_ptr<Executor> executor_;
};

TEST_P(ExecutorContract, RunsPostsInOrder) {
  std::vector<int> ran;
  std::promise<void> done;
  for (int i = 0; i < 5; ++i) executor_->Post([&ran, i] { ran.push_back(i); });
  executor_->Post([&] { done.set_value(); });
  RunUntil(done);
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3, 4));
}

TEST_P(ExecutorContract, RunsInOrderOfTimeThenPosting) {
  std::vector<int> ran;
  std::promise<void> done;
  executor_->Post([&] {
    // From the loop, so that no clock tick lies between the posts and the first run.
    executor_->PostAfter(absl::Milliseconds(60), [&] {
      ran.push_back(3);
      done.set_value();
    });
    executor_->PostAfter(absl::Milliseconds(30), [&] { ran.push_back(2); });
    executor_->Post([&] { ran.push_back(0); });
    executor_->PostAfter(-absl::Seconds(5), [&] { ran.push_back(1); });
  });
  RunUntil(done);
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3));
}

TEST_P(ExecutorContract, NeverRunsATaskBeforeItsTime) {
  std::promise<void> done;
  const absl::Duration posted = executor_->Monotonic();
  absl::Duration ran;
  executor_->PostAfter(absl::Milliseconds(40), [&] {
    ran = executor_->Monotonic();
    done.set_value();
  });
  RunUntil(done);
  EXPECT_GE(ran - posted, absl::Milliseconds(40));
}

TEST_P(ExecutorContract, RunsTasksThatTasksPost) {
  std::promise<void> done;
  int depth = 0;
  std::function<void()> again = [&] {
    if (++depth == 100) {
      done.set_value();
    } else {
      executor_->Post(again);
    }
  };
  executor_->Post(again);
  RunUntil(done);
  EXPECT_EQ(depth, 100);
}

TEST_P(ExecutorContract, TakesPostsFromManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 250;
  int ran = 0;  // Unguarded on purpose: only the loop touches it.
  std::promise<void> done;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        executor_->Post([&] {
          if (++ran == kThreads * kEach) done.set_value();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  RunUntil(done);
  EXPECT_EQ(ran, kThreads * kEach);
}

TEST_P(ExecutorContract, GivesFreshRandomBytes) {
  const std::string a = executor_->RandomBytes(32);
  const std::string b = executor_->RandomBytes(32);
  EXPECT_EQ(a.size(), 32u);
  EXPECT_NE(a, b);
  EXPECT_EQ(executor_->RandomBytes(0), "");
  EXPECT_EQ(executor_->RandomBytes(13).size(), 13u);
}

TEST_P(ExecutorContract, ClocksDoNotGoBack) {
  std::promise<void> done;
  const absl::Time wall = executor_->Now();
  const absl::Duration monotonic = executor_->Monotonic();
  executor_->PostAfter(absl::Milliseconds(5), [&] { done.set_value(); });
  RunUntil(done);
  EXPECT_GE(executor_->Now(), wall);
  EXPECT_GT(executor_->Monotonic(), monotonic);
}

TEST_P(ExecutorContract, DropsWhatWaitsWhenItGoes) {
  auto held = std::make_shared<int>(1);
  bool ran = false;
  executor_->PostAfter(absl::Hours(1), [held, &ran] { ran = true; });
  executor_.reset();
  EXPECT_FALSE(ran);
  EXPECT_EQ(held.use_count(), 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExecutorContract,
    ::testing::Values(
        Subject{"Loop", [] { return std::make_unique<LoopExecutor>("contract"); }, RunLoop},
        Subject{"Manual", [] { return std::make_unique<ManualExecutor>(7); }, RunManual}),
    [](const auto& info) { return info.param.name; });

TEST(ManualExecutorTest, AdvanceRunsEachTaskAtItsTime) {
  ManualExecutor executor;
  std::vector<absl::Duration> at;
  for (int s : {3, 1, 2}) {
    executor.PostAfter(absl::Seconds(s), [&] { at.push_back(executor.Monotonic()); });
  }
  executor.Advance(absl::Seconds(2.5));
  EXPECT_THAT(at, ElementsAre(absl::Seconds(1), absl::Seconds(2)));
  EXPECT_EQ(executor.Monotonic(), absl::Seconds(2.5));
  EXPECT_EQ(executor.waiting(), 1u);
}

TEST(ManualExecutorTest, SameSeedGivesTheSameBytes) {
  ManualExecutor a(42), b(42), c(43);
  const std::string bytes = a.RandomBytes(100);
  EXPECT_EQ(bytes, b.RandomBytes(100));
  EXPECT_NE(bytes, c.RandomBytes(100));
}

TEST(ManualExecutorTest, AWallClockJumpLeavesTimersAlone) {
  ManualExecutor executor;
  bool ran = false;
  executor.PostAfter(absl::Seconds(10), [&] { ran = true; });
  executor.JumpWallClock(absl::Hours(1));
  EXPECT_EQ(executor.RunUntilIdle(), 0u);
  EXPECT_FALSE(ran);
  executor.Advance(absl::Seconds(10));
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace werkplek
