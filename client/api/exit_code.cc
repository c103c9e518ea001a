#include "client/api/exit_code.h"

#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace werkplek {
namespace {

constexpr absl::string_view kOrigin = "werkplek/origin";
constexpr absl::string_view kLocalOrigin = "local";
constexpr absl::string_view kUsageOrigin = "usage";
// The number of a LocalCause.
constexpr absl::string_view kCause = "werkplek/cause";

}  // namespace

absl::Status LocalProblem(absl::Status status, LocalCause cause) {
  if (!status.ok() && !status.GetPayload(kOrigin).has_value()) {
    status.SetPayload(kOrigin, absl::Cord(kLocalOrigin));
    status.SetPayload(kCause, absl::Cord(absl::StrCat(static_cast<int>(cause))));
  }
  return status;
}

LocalCause CauseOf(const absl::Status& status) {
  const auto cause = status.GetPayload(kCause);
  int number = 0;
  if (!cause.has_value() || !absl::SimpleAtoi(std::string(*cause), &number)) {
    return LocalCause::kOther;
  }
  return static_cast<LocalCause>(number);
}

absl::Status UsageProblem(absl::Status status) {
  if (!status.ok()) status.SetPayload(kOrigin, absl::Cord(kUsageOrigin));
  return status;
}

ExitCode ExitCodeFor(const absl::Status& status) {
  if (status.ok()) return ExitCode::kOk;
  if (status.code() == absl::StatusCode::kCancelled) return ExitCode::kInterrupted;
  if (const auto origin = status.GetPayload(kOrigin); origin.has_value()) {
    return *origin == kUsageOrigin ? ExitCode::kUsage : ExitCode::kLocal;
  }
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return ExitCode::kSignInFailed;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
      return ExitCode::kUnavailable;
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return ExitCode::kUnavailable;
    default:
      return ExitCode::kRefused;
  }
}

}  // namespace werkplek
