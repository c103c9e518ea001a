#include "common/base/rare_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace werkplek {
namespace {

TEST(RareLogTest, WritesOneLineASecondAndSaysHowManyItLeftOut) {
  std::vector<std::string> lines;
  SetLogSink([&](const std::string& line) { lines.push_back(line); });
  RareLog log;
  const absl::Duration start = absl::Seconds(1000);
  for (int ms : {0, 10, 999, 1000, 1500, 2500}) {
    log.Warn(start + absl::Milliseconds(ms), "connection-refused", {{"peer", "192.0.2.7:1"}});
  }
  SetLogSink(nullptr);
  EXPECT_THAT(lines, testing::ElementsAre("event=connection-refused peer=192.0.2.7:1 more=0",
                                          "event=connection-refused peer=192.0.2.7:1 more=2",
                                          "event=connection-refused peer=192.0.2.7:1 more=1"));
}

TEST(RareLogTest, TheFirstLineComesAtOnceWhateverTheClockSays) {
  std::vector<std::string> lines;
  SetLogSink([&](const std::string& line) { lines.push_back(line); });
  RareLog().Warn(absl::ZeroDuration(), "relay-full", {});
  SetLogSink(nullptr);
  EXPECT_THAT(lines, testing::ElementsAre("event=relay-full more=0"));
}

}  // namespace
}  // namespace werkplek
