// What waits to be written to one stream, and in what order: pure, so that every order of events
// can be tested without a stream.
#pragma once

#include <list>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"

namespace werkplek {

// At most one write is under way, at most `max_waiting` messages wait, and the end comes once,
// after all writes. Not thread-safe.
template <typename Message>
class Outgoing {
 public:
  enum class Step { kNothing, kWrite, kFinish };

  explicit Outgoing(size_t max_waiting) : max_waiting_(max_waiting) {}

  // Queues a message. One that waits under the same key (other than "") is dropped for it: the
  // newer says all. False: too many wait, or the stream is ending; nothing was queued.
  bool Push(const std::string& key, Message message) {
    if (ending_) return false;
    if (!key.empty()) {
      if (const auto found = by_key_.find(key); found != by_key_.end()) {
        waiting_.erase(found->second);
        by_key_.erase(found);
      }
    }
    if (waiting_.size() >= max_waiting_) return false;
    waiting_.emplace_back(key, std::move(message));
    if (!key.empty()) by_key_[key] = std::prev(waiting_.end());
    return true;
  }

  // Ends the stream once all that waits is written. The first end counts.
  void End(absl::Status status) {
    if (ending_) return;
    ending_ = true;
    status_ = std::move(status);
  }

  // Ends it as soon as the write under way is done; what waits is dropped.
  void Abort(absl::Status status) {
    End(std::move(status));
    waiting_.clear();
    by_key_.clear();
  }

  // What to do now. kWrite: write current(), then tell WriteDone. kFinish: end with status(), once.
  Step Next() {
    if (writing_ || finished_) return Step::kNothing;
    if (!waiting_.empty()) {
      writing_ = true;
      current_ = std::move(waiting_.front().second);
      if (!waiting_.front().first.empty()) by_key_.erase(waiting_.front().first);
      waiting_.pop_front();
      return Step::kWrite;
    }
    if (!ending_) return Step::kNothing;
    finished_ = true;
    return Step::kFinish;
  }

  // `ok` false: the stream is broken.
  void WriteDone(bool ok) {
    writing_ = false;
    if (!ok) Abort(absl::CancelledError("the caller went away"));
  }

  // Stable while the write is under way.
  const Message& current() const { return current_; }
  const absl::Status& status() const { return status_; }
  bool ending() const { return ending_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  using Waiting = std::list<std::pair<std::string, Message>>;

  const size_t max_waiting_;
  Waiting waiting_;
  absl::flat_hash_map<std::string, typename Waiting::iterator> by_key_;
  Message current_;
  bool writing_ = false;
  bool ending_ = false;
  bool finished_ = false;
  absl::Status status_;
};

}  // namespace werkplek
