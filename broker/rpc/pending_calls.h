// The unary calls that wait for an answer: each ends in bounded time, and all end when the server
// stops.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace werkplek {

// A call that can be ended from outside, once; a second end does nothing.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  virtual void End(const absl::Status& status) = 0;
};

// Thread-safe. Has a thread of its own that ends calls that took too long.
class PendingCalls {
 public:
  using Handle = std::list<std::pair<absl::Duration, std::shared_ptr<PendingCall>>>::iterator;

  // `on_sweep` runs about four times a second on the thread that ends overdue calls; it must not
  // wait.
  explicit PendingCalls(absl::Duration limit, std::function<void()> on_sweep = nullptr);
  ~PendingCalls();
  PendingCalls(const PendingCalls&) = delete;
  PendingCalls& operator=(const PendingCalls&) = delete;

  // Sets `handle`, which the call must Remove when it ends.
  void Add(std::shared_ptr<PendingCall> call, Handle* handle);
  void Remove(Handle handle);
  // Ends every call that waits now.
  void EndAll(const absl::Status& status);
  size_t size();

 private:
  void Run();
  void EndOverdue();

  const absl::Duration limit_;
  const std::function<void()> on_sweep_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // In the order of their ends, which is that of their begins.
  std::list<std::pair<absl::Duration, std::shared_ptr<PendingCall>>> calls_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace werkplek
