#include "client/login/viewer.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "client/api/exit_code.h"
#include "client/login/signals.h"

namespace werkplek {
namespace {

TEST(Viewer, RunsACommandWithItsFlagsAndTheUrl) {
  // `test -n URL` ends with 0.
  const auto viewer = Viewer::Start("test  -n", "spice+unix:///x");
  ASSERT_TRUE(viewer.ok()) << viewer.status();
  EXPECT_EQ((*viewer)->Wait(absl::Seconds(10)), 0);
  EXPECT_EQ((*viewer)->Wait(absl::Seconds(10)), 0);
}

TEST(Viewer, TellsItsExitCode) {
  const auto viewer = Viewer::Start("test", "");
  ASSERT_TRUE(viewer.ok());
  EXPECT_EQ((*viewer)->Wait(absl::Seconds(10)), 1);
}

TEST(Viewer, SaysWhenItCannotStart) {
  EXPECT_EQ(ExitCodeFor(Viewer::Start("/nonexistent/viewer", "x").status()), ExitCode::kLocal);
  EXPECT_EQ(ExitCodeFor(Viewer::Start(" ", "x").status()), ExitCode::kLocal);
}

TEST(Viewer, IsEndedWithItsOwner) {
  auto viewer = Viewer::Start("tail -f", "/dev/null");
  ASSERT_TRUE(viewer.ok());
  EXPECT_EQ((*viewer)->Wait(absl::ZeroDuration()), std::nullopt);
  // Blocks until the process has gone.
  viewer->reset();
}

TEST(SignalWatch, TurnsSignalsIntoSomethingToWaitFor) {
  {
    const SignalWatch watch;
    EXPECT_FALSE(watch.Came());
    raise(SIGTERM);
    EXPECT_TRUE(watch.Came());
  }
  const SignalWatch fresh;
  EXPECT_FALSE(fresh.Came());
}

}  // namespace
}  // namespace werkplek
