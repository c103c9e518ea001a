#include "broker/rpc/rpc_status.h"

#include <string>
#include <vector>

#include "common/base/log.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

TEST(RetryAfter, IsWhatTheStatusCarries) {
  const absl::Status status =
      WithRetryAfter(absl::ResourceExhaustedError("too many"), absl::Milliseconds(250));
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(250));
}

TEST(RetryAfter, HasADefaultWhereARetryHelps) {
  EXPECT_EQ(RetryAfter(absl::ResourceExhaustedError("")), kDefaultRetryAfter);
  EXPECT_EQ(RetryAfter(absl::UnavailableError("")), kTryAgainAfter);
  EXPECT_EQ(RetryAfter(absl::PermissionDeniedError("")), std::nullopt);
  EXPECT_EQ(RetryAfter(absl::OkStatus()), std::nullopt);
}

TEST(ToGrpc, KeepsCodeAndWordsAndTellsTheDelay) {
  grpc::ServerContext context;
  grpc::testing::ServerContextTestSpouse spouse(&context);
  const grpc::Status status = ToGrpc(
      WithRetryAfter(absl::ResourceExhaustedError("too many at once"), absl::Seconds(3)), &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "too many at once");
  const auto trailing = spouse.GetTrailingMetadata();
  ASSERT_EQ(trailing.count(kRetryAfterKey), 1u);
  EXPECT_EQ(trailing.find(kRetryAfterKey)->second, "3000");
}

TEST(ToGrpc, MapsEveryCodeToItsNamesake) {
  for (int code = 1; code <= 16; ++code) {
    grpc::ServerContext context;
    EXPECT_EQ(ToGrpc(absl::Status(static_cast<absl::StatusCode>(code), "x"), &context).error_code(),
              static_cast<grpc::StatusCode>(code));
  }
}

TEST(ToGrpc, KeepsOurInsidesInTheLog) {
  std::vector<std::string> lines;
  SetLogSink([&lines](const std::string& line) { lines.push_back(line); });
  grpc::ServerContext context;
  const grpc::Status status =
      ToGrpc(absl::InternalError("/var/lib/werkplek/store.db: disk I/O error"), &context);
  SetLogSink(nullptr);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(status.error_message().find("store.db"), std::string::npos);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("store.db"), std::string::npos);
}

}  // namespace
}  // namespace werkplek
