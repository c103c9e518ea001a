// Runs blocking calls with a bound each, one at a time per key.
//
// libvirt's calls know no deadline: a hung QEMU or libvirtd keeps a caller for ever. Here the call
// runs on a thread of the runner's; when its bound passes, the caller goes on with
// DEADLINE_EXCEEDED and the key stays taken until the call really ends.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/base/worker_pool.h"

namespace werkplek {

// Thread-safe. The destructor waits for the calls that run.
class CallRunner {
 public:
  // At most `threads` calls run and `max_queued` wait.
  CallRunner(const std::string& name, int threads, size_t max_queued);

  // DEADLINE_EXCEEDED: `bound` passed while the call ran, waited for a thread (it will not run any
  // more), or waited for the key (the message says what holds it). RESOURCE_EXHAUSTED: too many
  // wait. An empty key is never taken.
  absl::Status Run(const std::string& key, absl::string_view what, absl::Duration bound,
                   absl::AnyInvocable<absl::Status()> call);

  template <typename T>
  absl::StatusOr<T> RunFor(const std::string& key, absl::string_view what, absl::Duration bound,
                           absl::AnyInvocable<absl::StatusOr<T>()> call) {
    // Shared with the call, which may outlive this frame.
    auto result = std::make_shared<absl::StatusOr<T>>(absl::UnknownError("not run"));
    const absl::Status status = Run(key, what, bound, [result, call = std::move(call)]() mutable {
      *result = call();
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return std::move(*result);
  }

 private:
  struct Call;
  void Execute(Call& call);
  absl::Status TakeKey(const std::string& key, absl::string_view what, absl::Duration deadline)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  // Taken keys, with what holds each.
  std::map<std::string, std::string> taken_ ABSL_GUARDED_BY(mutex_);
  // Last: its destructor runs what is queued.
  WorkerPool pool_;
};

}  // namespace werkplek
