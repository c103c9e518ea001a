#include "common/subprocess/subprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace werkplek {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);

TEST(SubprocessTest, GivesBothStreamsAndTheExitCode) {
  const auto result = RunSubprocess({"sh", "-c", "echo out; echo err >&2; exit 3"}, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
}

TEST(SubprocessTest, ArgumentsAreTakenAsTheyAre) {
  const auto output = RunSubprocessOrFail({"printf", "%s|", "a b", "$HOME", "'\"", ""}, kLong);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_EQ(*output, "a b|$HOME|'\"||");
}

TEST(SubprocessTest, AProgramThatIsNotThereIsNotFound) {
  EXPECT_EQ(RunSubprocess({"no-such-program-here"}, kLong).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(RunSubprocess({}, kLong).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SubprocessTest, FailureTellsWhatTheProgramSaid) {
  const auto output = RunSubprocessOrFail({"sh", "-c", "echo because >&2; exit 1"}, kLong);
  EXPECT_EQ(output.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(output.status().message()), testing::HasSubstr("because"));
}

TEST(SubprocessTest, ASignalIsAnExitCode) {
  EXPECT_EQ(RunSubprocess({"sh", "-c", "kill -9 $$"}, kLong)->exit_code, 128 + 9);
  EXPECT_EQ(RunSubprocessOrFail({"sh", "-c", "kill -9 $$"}, kLong).status().code(),
            absl::StatusCode::kAborted);
}

TEST(SubprocessTest, WhatDoesNotEndIsKilled) {
  const auto result = RunSubprocess({"cat", "/dev/zero"}, absl::Milliseconds(50));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  const auto silent = RunSubprocess({"tail", "-f", "/dev/null"}, absl::Milliseconds(50));
  EXPECT_EQ(silent.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(SubprocessTest, OutputIsBounded) {
  const auto result = RunSubprocess({"head", "-c", "3000000", "/dev/zero"}, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.size(), kMaxSubprocessOutput);
}

TEST(SubprocessTest, AGrandchildThatKeepsTheStreamsOpenDoesNotHoldUsUp) {
  const auto result = RunSubprocess({"sh", "-c", "tail -f /dev/null & echo $!"}, kLong);
  ASSERT_TRUE(result.ok()) << result.status();
  // The grandchild is ours to stop.
  EXPECT_EQ(kill(std::stoi(result->output), SIGKILL), 0);
}

TEST(SubprocessTest, NoDescriptorOfOursIsInherited) {
  const int ours = dup(STDIN_FILENO);  // Without close-on-exec.
  const auto output = RunSubprocessOrFail({"ls", "/proc/self/fd"}, kLong);
  close(ours);
  ASSERT_TRUE(output.ok()) << output.status();
  // 3 is the folder that ls reads.
  EXPECT_EQ(*output, "0\n1\n2\n3\n");
}

TEST(SubprocessTest, ReadsWhatItIsGivenAndNothingElse) {
  SubprocessOptions options;
  options.input = "name=value\n";
  EXPECT_EQ(RunSubprocess({"cat"}, kLong, options)->output, "name=value\n");
  EXPECT_EQ(RunSubprocess({"cat"}, kLong)->output, "");
  options.input = std::string(kMaxSubprocessInput, 'a');
  EXPECT_EQ(RunSubprocess({"cat"}, kLong, options)->output.size(), kMaxSubprocessInput);
  EXPECT_EQ(RunSubprocess({"true"}, kLong, options)->exit_code, 0) << "nobody reads it";
  options.input += "b";
  EXPECT_EQ(RunSubprocess({"cat"}, kLong, options).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SubprocessTest, OneThatIsGivenUpIsKilled) {
  SubprocessOptions options;
  int asked = 0;
  options.cancelled = [&asked] { return ++asked > 2; };
  const auto result = RunSubprocess({"tail", "-f", "/dev/null"}, kLong, options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  options.cancelled = [] { return false; };
  EXPECT_EQ(RunSubprocess({"true"}, kLong, options)->exit_code, 0);
}

}  // namespace
}  // namespace werkplek
