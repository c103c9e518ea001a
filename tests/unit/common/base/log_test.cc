#include "common/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

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

}  // namespace
}  // namespace werkplek
