#include "broker/etcd/etcd_verdict.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

EtcdVerdict Refused(absl::StatusCode code, absl::string_view message) {
  return {EtcdOutcome::kRefused, absl::Status(code, absl::StrCat("etcd: ", message))};
}

EtcdVerdict NotDone(absl::string_view message) {
  return {EtcdOutcome::kNotDone, absl::UnavailableError(absl::StrCat("etcd: ", message))};
}

EtcdVerdict Unknown(absl::string_view message) {
  return {EtcdOutcome::kUnknown,
          absl::UnknownError(absl::StrCat("etcd did not say whether it was done: ", message))};
}

}  // namespace

// The messages are those of etcd 3.4 (etcdserver/api/v3rpc/rpctypes/error.go) and gRPC 1.51. What
// is not known here counts as unknown, which is always safe.
EtcdVerdict JudgeEtcdStatus(const grpc::Status& status) {
  const std::string message = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return {EtcdOutcome::kDone, absl::OkStatus()};
    case grpc::StatusCode::UNAVAILABLE:
      if (absl::StartsWith(message, "failed to connect to all addresses") ||
          absl::StrContains(message, "etcdserver: no leader")) {
        return NotDone(message);
      }
      return Unknown(message);
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (absl::StrContains(message, "database space exceeded")) {
        return Refused(absl::StatusCode::kResourceExhausted,
                       "its database is full (alarm NOSPACE): compact and defragment it, or raise "
                       "--quota-backend-bytes, then run `etcdctl alarm disarm`");
      }
      if (absl::StrContains(message, "too many requests")) return NotDone(message);
      if (absl::StrContains(message, "eceived message larger than max")) {
        return Refused(absl::StatusCode::kAborted, message);
      }
      return Unknown(message);
    case grpc::StatusCode::INVALID_ARGUMENT:
      if (absl::StrContains(message, "too large") ||
          absl::StrContains(message, "too many operations")) {
        return Refused(absl::StatusCode::kResourceExhausted, message);
      }
      return Refused(absl::StatusCode::kInvalidArgument, message);
    case grpc::StatusCode::DATA_LOSS:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return Refused(static_cast<absl::StatusCode>(status.error_code()), message);
    default:
      return Unknown(message);
  }
}

}  // namespace werkplek
