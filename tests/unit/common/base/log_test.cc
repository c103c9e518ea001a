#include "common/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "common/base/log_batch.h"

namespace werkplek {
namespace {

TEST(LogTest, PlainValuesStandBare) {
  EXPECT_EQ(FormatLogField({"user", "jan.devries@example"}), "user=jan.devries@example");
}

TEST(LogTest, ValuesCannotStartALineOrAField) {
  EXPECT_EQ(FormatLogField({"user", "x\r\nlevel=info event=sign-in"}),
            "user=\"x\\x0d\\x0alevel=info event=sign-in\"");
  EXPECT_EQ(FormatLogField({"user", "\x1b[31m\"\\"}), "user=\"\\x1b[31m\\\"\\\\\"");
  EXPECT_EQ(FormatLogField({"user", ""}), "user=\"\"");
}

TEST(LogTest, LongValuesAreCut) {
  const std::string field = FormatLogField({"user", std::string(65536, 'a')});
  EXPECT_LT(field.size(), 1100u);
  EXPECT_THAT(field, testing::EndsWith("...\""));
}

TEST(LogTest, OneEventIsOneLine) {
  std::vector<std::string> lines;
  SetLogSink([&](const std::string& line) { lines.push_back(line); });
  Log(Severity::kInfo, "sign-in", {{"user", "a b"}, {"result", "ok"}});
  SetLogSink(nullptr);
  EXPECT_THAT(lines, testing::ElementsAre("event=sign-in user=\"a b\" result=ok"));
}

TEST(LogTest, ABatchIsWrittenWhenItGoesAndInOrder) {
  testing::internal::CaptureStderr();
  Log(Severity::kInfo, "first");
  {
    const LogBatch batch;
    Log(Severity::kInfo, "second", {{"user", "jan"}});
    // Another thread's line does not wait.
    std::thread([] { Log(Severity::kInfo, "beside"); }).join();
    Log(Severity::kWarning, "third");
  }
  Log(Severity::kInfo, "fourth");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::ContainsRegex("level=info event=first\n"
                                           "time=[^ ]+ level=info event=beside\n"
                                           "time=[^ ]+ level=info event=second user=jan\n"
                                           "time=[^ ]+ level=warning event=third\n"
                                           "time=[^ ]+ level=info event=fourth\n$"));
}

}  // namespace
}  // namespace werkplek
