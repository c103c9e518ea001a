#include "common/program/watchdog.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "tests/support/process/child_process.h"
#include "tests/unit/common/program/systemd_socket.h"

namespace werkplek {
namespace {

class WatchdogTest : public testing::Test {
 protected:
  WatchdogTest() {
    setenv("NOTIFY_SOCKET", systemd_.path().c_str(), 1);
    SetLogSink([](const std::string&) {});
  }
  ~WatchdogTest() override {
    unsetenv("NOTIFY_SOCKET");
    SetLogSink(nullptr);
  }

  TemporaryFolder folder_;
  SystemdSocket systemd_{folder_.File("notify")};
};

TEST_F(WatchdogTest, StatesReachSystemd) {
  TellSystemd("READY=1");
  EXPECT_EQ(systemd_.Next(absl::Seconds(10)), "READY=1");
}

TEST_F(WatchdogTest, OnlyGoodProbesFeedIt) {
  std::atomic<bool> good = true;
  std::atomic<int> probes = 0;
  std::atomic<int> told_bad = 0;
  Watchdog watchdog(
      absl::Milliseconds(5),
      [&]() -> absl::Status {
        ++probes;
        return good ? absl::OkStatus() : absl::UnavailableError("deaf");
      },
      [&](bool was_good) { told_bad += was_good ? 0 : 1; });
  EXPECT_EQ(systemd_.Next(absl::Seconds(10)), "WATCHDOG=1");
  EXPECT_EQ(systemd_.Next(absl::Seconds(10)), "WATCHDOG=1") << "again and again";
  good = false;
  // What was sent before, and the probe that ran then, may still come.
  const int before = probes;
  while (told_bad < 2 || probes < before + 3) {
    if (systemd_.Next(absl::Milliseconds(1)).empty() && told_bad >= 2) break;
  }
  while (!systemd_.Next(absl::ZeroDuration()).empty()) {
  }
  const int after = probes;
  while (probes < after + 5) {
    EXPECT_EQ(systemd_.Next(absl::Milliseconds(1)), "");
  }
}

TEST_F(WatchdogTest, ItEndsAtOnceHoweverLongItsInterval) {
  Watchdog watchdog(
      absl::Hours(1), [] { return absl::OkStatus(); }, nullptr);
}

}  // namespace
}  // namespace werkplek
