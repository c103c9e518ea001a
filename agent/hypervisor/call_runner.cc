#include "agent/hypervisor/call_runner.h"

#include <time.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Duration Monotonic() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace

struct CallRunner::Call {
  std::string key;
  absl::AnyInvocable<absl::Status()> function;
  // Guarded by the runner's mutex.
  bool abandoned = false;
  bool done = false;
  absl::Status status;
};

CallRunner::CallRunner(const std::string& name, int threads, size_t max_queued)
    : pool_(name, threads, max_queued) {}

absl::Status CallRunner::TakeKey(const std::string& key, absl::string_view what,
                                 absl::Duration deadline) {
  if (key.empty()) return absl::OkStatus();
  for (auto holder = taken_.find(key); holder != taken_.end(); holder = taken_.find(key)) {
    const absl::Duration left = deadline - Monotonic();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat(what, " of ", key, " waited for the running ", holder->second));
    }
    changed_.WaitFor(mutex_, left);
  }
  taken_.emplace(key, std::string(what));
  return absl::OkStatus();
}

absl::Status CallRunner::Run(const std::string& key, absl::string_view what, absl::Duration bound,
                             absl::AnyInvocable<absl::Status()> function) {
  const absl::Duration deadline = Monotonic() + bound;
  auto call = std::make_shared<Call>();
  call->key = key;
  call->function = std::move(function);
  {
    MutexLock lock(mutex_);
    RETURN_IF_ERROR(TakeKey(key, what, deadline));
  }
  if (absl::Status status = pool_.Submit([this, call] { Execute(*call); }); !status.ok()) {
    MutexLock lock(mutex_);
    taken_.erase(key);
    changed_.SignalAll();
    return status;
  }
  MutexLock lock(mutex_);
  while (!call->done) {
    const absl::Duration left = deadline - Monotonic();
    if (left <= absl::ZeroDuration()) {
      call->abandoned = true;
      return absl::DeadlineExceededError(absl::StrCat(
          what, key.empty() ? "" : " of ", key, " took longer than ", absl::FormatDuration(bound)));
    }
    changed_.WaitFor(mutex_, left);
  }
  return call->status;
}

void CallRunner::Execute(Call& call) {
  bool run;
  {
    MutexLock lock(mutex_);
    run = !call.abandoned;
  }
  absl::Status status = run ? call.function() : absl::CancelledError("not run");
  // What the call holds (a connection, a domain) goes before the key is free again.
  call.function = nullptr;
  MutexLock lock(mutex_);
  call.status = std::move(status);
  call.done = true;
  taken_.erase(call.key);
  changed_.SignalAll();
}

}  // namespace werkplek
