#include "broker/rpc/watch_stream.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "broker/rpc/rpc_status.h"

namespace werkplek {
namespace {

bool ChangesSignIns(const ChangeSet& changes) {
  return std::any_of(changes.begin(), changes.end(),
                     [](const v1::Change& change) { return change.table() == kSignInTable; });
}

}  // namespace

WatchStream* WatchStream::Begin(BrokerNode* node, grpc::CallbackServerContext* context,
                                size_t max_waiting, StillAllowed still_allowed) {
  const std::shared_ptr<WatchStream> stream(
      new WatchStream(node, context, max_waiting, std::move(still_allowed)));
  stream->self_ = stream;
  // Commits first, then the picture: what comes in between is in both, and is told once.
  const uint64_t watch = node->Watch([weak = std::weak_ptr(stream)](const Committed& committed) {
    if (const auto alive = weak.lock(); alive != nullptr) alive->OnCommit(committed);
  });
  Picture picture = node->picture();
  {
    MutexLock lock(stream->mutex_);
    stream->watch_ = watch;
    if (picture != nullptr) stream->source_.Begin(picture);
  }
  if (picture == nullptr) stream->End(NotInCharge());
  stream->Advance();
  return stream.get();
}

void WatchStream::OnCommit(const Committed& committed) {
  if (committed.reloaded || committed.picture == nullptr || committed.changes == nullptr) {
    return End(absl::UnavailableError("the broker started over; watch again"));
  }
  if (ChangesSignIns(*committed.changes)) {
    if (absl::Status allowed = still_allowed_(*committed.picture); !allowed.ok()) {
      return End(std::move(allowed));
    }
  }
  bool kept;
  {
    MutexLock lock(mutex_);
    kept = ending_ || source_.Add(committed);
  }
  if (!kept)
    return End(absl::ResourceExhaustedError("the changes were not read in time; watch again"));
  Advance();
}

void WatchStream::End(absl::Status why) {
  {
    MutexLock lock(mutex_);
    if (ending_) return;
    ending_ = true;
    why_ = std::move(why);
    source_ = WatchSource(0);  // lets the pictures go while a slow reader holds the last write
  }
  Advance();
}

void WatchStream::Advance() {
  absl::Status why;
  {
    MutexLock lock(mutex_);
    if (writing_ || finished_) return;
    if (ending_) {
      finished_ = true;
      why = why_;
    } else {
      std::optional<v1::WatchEvent> next = source_.Next();
      if (!next.has_value()) return;
      current_ = *std::move(next);
      writing_ = true;
    }
  }
  // Without the lock: gRPC may call back from inside of these.
  if (why.ok()) {
    StartWrite(&current_);
  } else {
    Finish(ToGrpc(why, context_));
  }
}

void WatchStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
  }
  if (!ok) End(absl::CancelledError("the caller went away"));
  Advance();
}

void WatchStream::OnCancel() { End(absl::CancelledError("the caller went away")); }

void WatchStream::OnDone() {
  const std::shared_ptr<WatchStream> last = std::move(self_);
  uint64_t watch;
  {
    MutexLock lock(mutex_);
    watch = watch_;
  }
  node_->Unwatch(watch);
}

}  // namespace werkplek
