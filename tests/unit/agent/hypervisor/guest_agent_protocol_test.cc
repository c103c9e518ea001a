#include "agent/hypervisor/guest_agent_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(GuestAgentProtocolTest, ARequestCarriesAnyBytes) {
  EXPECT_EQ(GuestExecRequest({"/bin/hook", "begin", "a\"b\n"}, "user=jan\n"),
            R"({"arguments":{"arg":["begin","a\"b\n"],"capture-output":true,)"
            R"("input-data":"dXNlcj1qYW4K","path":"/bin/hook"},"execute":"guest-exec"})");
  // No standard input: no input-data at all.
  EXPECT_EQ(GuestExecRequest({"true"}, ""),
            R"({"arguments":{"arg":[],"capture-output":true,"path":"true"},)"
            R"("execute":"guest-exec"})");
  // Bytes that are not UTF-8 do not throw.
  EXPECT_NE(GuestExecRequest({"true", "\xff"}, "\xff"), "");
  EXPECT_EQ(GuestExecStatusRequest(7), R"({"arguments":{"pid":7},"execute":"guest-exec-status"})");
}

TEST(GuestAgentProtocolTest, Answers) {
  EXPECT_EQ(*ParseGuestExecAnswer(R"({"return":{"pid":42}})"), 42);
  EXPECT_EQ(*ParseGuestExecStatus(R"({"return":{"exited":false}})"), std::nullopt);
  const auto done = ParseGuestExecStatus(
      R"({"return":{"exited":true,"exitcode":3,"out-data":"b3V0","err-data":"ZXJy"}})");
  ASSERT_TRUE(done.ok() && done->has_value());
  EXPECT_EQ((*done)->exit_code, 3);
  EXPECT_EQ((*done)->output, "outerr");
  const auto killed = ParseGuestExecStatus(R"({"return":{"exited":true,"signal":9}})");
  ASSERT_TRUE(killed.ok() && killed->has_value());
  EXPECT_EQ((*killed)->exit_code, 137);
}

TEST(GuestAgentProtocolTest, OutputIsCutAt64KiB) {
  std::string encoded;
  for (int i = 0; i < 40000; ++i) encoded += "QUFB";  // "AAA"
  const auto done = ParseGuestExecStatus(R"({"return":{"exited":true,"exitcode":0,"out-data":")" +
                                         encoded + R"(","err-data":"QUFB"}})");
  ASSERT_TRUE(done.ok() && done->has_value());
  EXPECT_EQ((*done)->output.size(), kMaxGuestOutput);
}

TEST(GuestAgentProtocolTest, HostileAnswersAreErrors) {
  for (const char* text :
       {"", "{", "[]", "1", "null", R"({"return":1})", R"({"return":{}})", R"({"error":{}})",
        R"({"return":{"pid":"1"}})", R"({"return":{"pid":1.5}})"}) {
    EXPECT_EQ(ParseGuestExecAnswer(text).status().code(), absl::StatusCode::kUnavailable) << text;
  }
  for (const char* text : {"", R"({"return":{"exited":1}})", R"({"return":{"exited":true}})",
                           R"({"return":{"exited":true,"exitcode":"0"}})",
                           R"({"return":{"exited":true,"exitcode":0,"out-data":5}})",
                           R"({"return":{"exited":true,"exitcode":0,"out-data":"no base64 !"}})"}) {
    EXPECT_EQ(ParseGuestExecStatus(text).status().code(), absl::StatusCode::kUnavailable) << text;
  }
  const std::string deep(100000, '[');
  EXPECT_FALSE(ParseGuestExecAnswer(deep).ok());
}

}  // namespace
}  // namespace werkplek
