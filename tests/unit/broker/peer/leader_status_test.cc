#include "broker/peer/leader_status.h"

#include <string>

#include "common/grpc/retry_after.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

TEST(LeaderStatus, VerdictsGoThroughAsTheyAre) {
  EXPECT_TRUE(LeaderStatus(grpc::Status::OK, "").ok());
  for (const auto code :
       {grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::PERMISSION_DENIED,
        grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::NOT_FOUND, grpc::StatusCode::ABORTED,
        grpc::StatusCode::ALREADY_EXISTS, grpc::StatusCode::FAILED_PRECONDITION,
        grpc::StatusCode::DEADLINE_EXCEEDED, grpc::StatusCode::UNIMPLEMENTED}) {
    const absl::Status status = LeaderStatus(grpc::Status(code, "words"), "");
    EXPECT_EQ(status, absl::Status(static_cast<absl::StatusCode>(code), "words"));
  }
}

TEST(LeaderStatus, TheDelayGoesWithIt) {
  const absl::Status full =
      LeaderStatus(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full"), "250");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(full.GetPayload(kRetryAfterKey), absl::Cord("250"));
  const absl::Status busy =
      LeaderStatus(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the directory is away"), "1000");
  EXPECT_EQ(busy.message(), "the directory is away");
}

// What the connection says is no answer of the leader's.
TEST(LeaderStatus, TheTransportsWordsDoNotComeThrough) {
  for (const auto& [code, words] :
       {std::pair(grpc::StatusCode::UNAVAILABLE, "failed to connect to all addresses"),
        std::pair(grpc::StatusCode::UNAVAILABLE, "Socket closed"),
        std::pair(grpc::StatusCode::UNKNOWN, "Stream removed"),
        std::pair(grpc::StatusCode::CANCELLED, "CANCELLED")}) {
    const absl::Status status = LeaderStatus(grpc::Status(code, words), "");
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << words;
    EXPECT_NE(status.message().find("temporarily unavailable"), std::string::npos) << status;
    EXPECT_EQ(status.message().find(words), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace werkplek
