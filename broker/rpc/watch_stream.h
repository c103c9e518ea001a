// One Watch call: WatchSource's events, written at the reader's pace.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "broker/node/broker_node.h"
#include "broker/rpc/watch_source.h"
#include "common/base/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace werkplek {

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchEvent> {
 public:
  // Whether the watcher may still watch, judged by the fleet after a commit.
  using StillAllowed = std::function<absl::Status(const Fleet& fleet)>;

  // Watches until the caller goes, reads too slowly for `max_waiting` commits (RESOURCE_EXHAUSTED),
  // may no longer watch, or the broker starts over (UNAVAILABLE).
  static WatchStream* Begin(BrokerNode* node, grpc::CallbackServerContext* context,
                            size_t max_waiting, StillAllowed still_allowed);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  WatchStream(BrokerNode* node, grpc::CallbackServerContext* context, size_t max_waiting,
              StillAllowed still_allowed)
      : node_(node),
        context_(context),
        still_allowed_(std::move(still_allowed)),
        source_(max_waiting) {}

  void OnCommit(const Committed& committed);
  // Ends as soon as the write under way is done.
  void End(absl::Status why);
  // Writes or finishes, when it is time to.
  void Advance();

  BrokerNode* const node_;
  grpc::CallbackServerContext* const context_;
  const StillAllowed still_allowed_;
  Mutex mutex_;
  WatchSource source_ ABSL_GUARDED_BY(mutex_);
  v1::WatchEvent current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status why_ ABSL_GUARDED_BY(mutex_);
  uint64_t watch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<WatchStream> self_;
};

}  // namespace werkplek
