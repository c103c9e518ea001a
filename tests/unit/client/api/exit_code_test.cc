#include "client/api/exit_code.h"

#include <gtest/gtest.h>

namespace werkplek {
namespace {

TEST(ExitCode, FollowsTheOriginAndTheCode) {
  EXPECT_EQ(ExitCodeFor(absl::OkStatus()), ExitCode::kOk);
  EXPECT_EQ(ExitCodeFor(absl::NotFoundError("")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeFor(absl::PermissionDeniedError("")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeFor(absl::UnauthenticatedError("")), ExitCode::kSignInFailed);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::ResourceExhaustedError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::DeadlineExceededError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::InternalError("")), ExitCode::kUnavailable);
  EXPECT_EQ(ExitCodeFor(absl::CancelledError("")), ExitCode::kInterrupted);
  EXPECT_EQ(ExitCodeFor(LocalProblem(absl::NotFoundError(""))), ExitCode::kLocal);
  EXPECT_EQ(ExitCodeFor(UsageProblem(absl::InvalidArgumentError(""))), ExitCode::kUsage);
  // The first mark counts.
  EXPECT_EQ(ExitCodeFor(LocalProblem(UsageProblem(absl::InvalidArgumentError("")))),
            ExitCode::kUsage);
}

TEST(ExitCode, ALocalProblemKnowsItsCause) {
  const absl::Status expired =
      LocalProblem(absl::FailedPreconditionError("expired"), LocalCause::kCertificate);
  EXPECT_EQ(CauseOf(expired), LocalCause::kCertificate);
  // The first mark counts.
  EXPECT_EQ(CauseOf(LocalProblem(expired, LocalCause::kTokenFile)), LocalCause::kCertificate);
  EXPECT_EQ(CauseOf(LocalProblem(absl::NotFoundError(""))), LocalCause::kOther);
  EXPECT_EQ(CauseOf(absl::NotFoundError("")), LocalCause::kOther);
}

}  // namespace
}  // namespace werkplek
