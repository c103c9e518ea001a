#include "broker/etcd/clock_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "tests/support/manual_executor.h"

namespace werkplek {
namespace {

class ClockWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogSink([this](const std::string& line) {
      MutexLock lock(mutex_);
      log_ += line + "\n";
    });
  }
  void TearDown() override { SetLogSink(nullptr); }

  // The members' clocks, against ours; without one a member does not answer.
  void Set(std::map<std::string, absl::Duration> offsets) {
    MutexLock lock(mutex_);
    offsets_ = std::move(offsets);
    looks_ = 0;
  }
  std::unique_ptr<ClockWatch> Watch() {
    return std::make_unique<ClockWatch>(
        ClockWatchSettings{.interval = absl::Milliseconds(1)},
        std::vector<std::string>{"a", "b", "w"},
        [this](const std::string& endpoint, absl::Duration) -> absl::StatusOr<absl::Time> {
          MutexLock lock(mutex_);
          if (endpoint == "a") ++looks_;
          const auto at = offsets_.find(endpoint);
          if (at == offsets_.end()) return absl::UnavailableError("no answer");
          return absl::FromUnixSeconds(absl::ToUnixSeconds(executor_.Now() + at->second));
        },
        &executor_);
  }
  // Two looks that began after the last Set: one of them has ended.
  bool Looked() {
    const absl::Time until = absl::Now() + absl::Seconds(20);
    while (absl::Now() < until) {
      MutexLock lock(mutex_);
      if (looks_ >= 2) return true;
      never_.WaitFor(mutex_, absl::Milliseconds(1));
    }
    return false;
  }
  std::string Log() {
    MutexLock lock(mutex_);
    return log_;
  }

  ManualExecutor executor_;
  Mutex mutex_;
  CondVar never_;
  std::map<std::string, absl::Duration> offsets_ ABSL_GUARDED_BY(mutex_);
  int looks_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string log_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(ClockWatchTest, AClockThatMostContradictIsOffUntilItIsSet) {
  const absl::Duration hour = absl::Hours(1);
  Set({{"a", {}}, {"b", {}}, {"w", {}}});
  const auto watch = Watch();
  ASSERT_TRUE(Looked());
  EXPECT_TRUE(watch->good());
  Set({{"a", {}}, {"b", hour}, {"w", hour}});
  ASSERT_TRUE(Looked());
  EXPECT_FALSE(watch->good());
  EXPECT_THAT(Log(), ::testing::HasSubstr("event=clock-off"));
  EXPECT_THAT(Log(), ::testing::HasSubstr("b 1h"));
  Set({{"a", {}}, {"b", {}}, {"w", hour}});
  ASSERT_TRUE(Looked());
  EXPECT_TRUE(watch->good());
  EXPECT_THAT(Log(), ::testing::HasSubstr("event=clock-good"));
}

TEST_F(ClockWatchTest, WhatWasKnownStaysWhileNobodyAnswers) {
  Set({{"a", -absl::Hours(1)}, {"b", -absl::Hours(1)}});
  const auto watch = Watch();
  ASSERT_TRUE(Looked());
  EXPECT_FALSE(watch->good());
  Set({});
  ASSERT_TRUE(Looked());
  EXPECT_FALSE(watch->good());
}

}  // namespace
}  // namespace werkplek
