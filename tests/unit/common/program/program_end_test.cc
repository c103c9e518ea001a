#include "common/program/program_end.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

#include "tests/support/process/child_process.h"
#include "tests/unit/common/program/systemd_socket.h"

namespace werkplek {
namespace {

TEST(ExitCodeTest, TellsTheWorldWhyAndWhichProgram) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCode("werkplek-agent", absl::UnavailableError("no libvirt")), kExitFailed);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "werkplek-agent: no libvirt\n");
}

TEST(ExitCodeTest, SaysNothingWhenAllIsWell) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(ExitCode("werkplek-agent", absl::OkStatus()), kExitGood);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(ExitCodeTest, CodesAreThoseOfSysexits) {
  EXPECT_EQ(kExitUsage, 64);
  EXPECT_EQ(kExitFailed, 70);
  EXPECT_EQ(kExitBadConfig, 78);
}

class EndSignalsTest : public testing::Test {
 protected:
  EndSignalsTest() {
    pthread_sigmask(SIG_SETMASK, nullptr, &before_);
    setenv("NOTIFY_SOCKET", systemd_.path().c_str(), 1);
  }
  ~EndSignalsTest() override {
    unsetenv("NOTIFY_SOCKET");
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  sigset_t before_;
  TemporaryFolder folder_;
  SystemdSocket systemd_{folder_.File("notify")};
};

TEST_F(EndSignalsTest, EitherSignalEndsTheWaitAndSystemdIsTold) {
  const EndSignals signals;
  for (const int signal : {SIGTERM, SIGINT}) {
    ASSERT_EQ(kill(getpid(), signal), 0);
    EXPECT_EQ(signals.Wait(), signal);
    EXPECT_EQ(systemd_.Next(absl::Seconds(10)), "STOPPING=1");
  }
}

TEST_F(EndSignalsTest, AThreadThatStartsLaterIsNotEndedByThem) {
  const EndSignals signals;
  bool blocked = false;
  std::thread thread([&blocked] {
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, nullptr, &own);
    blocked = sigismember(&own, SIGTERM) == 1 && sigismember(&own, SIGINT) == 1;
  });
  thread.join();
  EXPECT_TRUE(blocked);
}

TEST_F(EndSignalsTest, OtherSignalsAreLeftAlone) {
  const EndSignals signals;
  sigset_t own;
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  EXPECT_EQ(sigismember(&own, SIGHUP), sigismember(&before_, SIGHUP));
  EXPECT_EQ(sigismember(&own, SIGCHLD), sigismember(&before_, SIGCHLD));
}

}  // namespace
}  // namespace werkplek
