#include "common/base/retry_after.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

TEST(RetryAfterTest, IsWhatWasSaidInWholeMilliseconds) {
  const absl::Status status = absl::UnavailableError("later");
  EXPECT_EQ(RetryDelayOf(status), absl::ZeroDuration());
  EXPECT_EQ(RetryDelayOf(WithRetryAfter(status, absl::Seconds(3))), absl::Seconds(3));
  EXPECT_EQ(RetryDelayOf(WithRetryAfter(status, absl::Microseconds(1500))), absl::Milliseconds(2));
  EXPECT_EQ(RetryDelayOf(WithRetryAfter(status, absl::ZeroDuration())), absl::Milliseconds(1));
}

TEST(RetryAfterTest, PeopleWaitWholeMinutes) {
  EXPECT_EQ(WholeMinutes(absl::ZeroDuration()), 1);
  EXPECT_EQ(WholeMinutes(absl::Minutes(3)), 3);
  EXPECT_EQ(WholeMinutes(absl::Seconds(181)), 4);
}

TEST(RetryAfterTest, IsGivenOnAsItCame) {
  const absl::Status status = absl::UnavailableError("later");
  EXPECT_EQ(RetryDelayOf(WithRetryAfterText(status, "1500")), absl::Milliseconds(1500));
  EXPECT_EQ(WithRetryAfterText(status, ""), status);
}

TEST(RetryAfterTest, OddTextsAreNoDelay) {
  for (const char* odd : {"", "-5", "soon", "99999999999999999999"}) {
    absl::Status status = absl::UnavailableError("later");
    status.SetPayload(kRetryAfterKey, absl::Cord(odd));
    EXPECT_EQ(RetryDelayOf(status), absl::ZeroDuration()) << odd;
  }
}

}  // namespace
}  // namespace werkplek
