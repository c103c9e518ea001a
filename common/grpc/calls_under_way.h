// The calls of one client that have not ended, so that it can end them all and go.
#pragma once

#include <grpcpp/client_context.h>

#include <cstddef>
#include <memory>
#include <set>

#include "common/base/mutex.h"

namespace werkplek {

// Thread-safe.
class CallsUnderWay {
 public:
  // Before the call is made. False: all calls are being ended; do not make it. After true, Remove
  // must follow as the last thing that the call does.
  bool Add(grpc::ClientContext& context);
  // Takes the context, with its share of the channel, so that nothing of gRPC's outlives the client
  // that made the call. The client may be gone when this returns.
  void Remove(std::unique_ptr<grpc::ClientContext> context);
  // Cancels every call and waits until each has been removed; none can be added afterwards. Not
  // from a call's callback.
  void CancelAndWait();

 private:
  Mutex mutex_;
  CondVar changed_;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  // What can be cancelled, and how many have not ended: a context that is being taken down is of
  // the second only.
  std::set<grpc::ClientContext*> cancellable_ ABSL_GUARDED_BY(mutex_);
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace werkplek
