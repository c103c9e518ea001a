// What a failed call to etcd means. Pure.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace werkplek {

enum class EtcdOutcome {
  kDone,
  // etcd refused it; every member would. Nothing was done, with one exception: a write that etcd
  // found to make it full may have been.
  kRefused,
  // It reached no member, or one that could not take it. Nothing was done; another member may.
  kNotDone,
  // It may have been done, or may be done yet.
  kUnknown,
};

struct EtcdVerdict {
  EtcdOutcome outcome = EtcdOutcome::kDone;
  // kRefused: RESOURCE_EXHAUSTED (etcd is full, or the request too large), OUT_OF_RANGE (the
  // revision is gone), ABORTED (the answer is too large for us), DATA_LOSS, INVALID_ARGUMENT,
  // NOT_FOUND, PERMISSION_DENIED and so on. kNotDone: UNAVAILABLE. kUnknown: UNKNOWN.
  absl::Status status;
};

EtcdVerdict JudgeEtcdStatus(const grpc::Status& status);

}  // namespace werkplek
