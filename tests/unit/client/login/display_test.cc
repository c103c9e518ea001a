#include "client/login/display.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <sstream>

namespace werkplek {
namespace {

// An interrupt breaks what is under way, which then looks like a screen that was lost.
TEST(Display, AnInterruptIsNoFailureToTryAgainAfter) {
  std::string folder = testing::TempDir() + "/display-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
  std::ostringstream out;
  const DisplayPorts ports{
      .viewer = "false",
      .open_relay = [](RelayTarget) -> absl::StatusOr<std::unique_ptr<RelayClient>> {
        raise(SIGINT);
        return absl::UnavailableError("the relay is busy");
      },
      .out = out,
  };
  DisplayChoice picture;
  picture.screenshot = folder + "/a.png";
  DisplayChoice vnc;
  vnc.vnc = true;
  for (const DisplayChoice& choice : {picture, vnc, DisplayChoice()}) {
    EXPECT_EQ(ShowDisplay(ports, v1::Ready(), choice).code(), absl::StatusCode::kCancelled);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace werkplek
