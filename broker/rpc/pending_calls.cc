#include "broker/rpc/pending_calls.h"

#include <utility>
#include <vector>

#include "common/base/monotonic.h"

namespace werkplek {
namespace {

constexpr absl::Duration kSweep = absl::Milliseconds(250);

}  // namespace

PendingCalls::PendingCalls(absl::Duration limit, std::function<void()> on_sweep)
    : limit_(limit), on_sweep_(std::move(on_sweep)), thread_([this] { Run(); }) {}

PendingCalls::~PendingCalls() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

void PendingCalls::Add(std::shared_ptr<PendingCall> call, Handle* handle) {
  MutexLock lock(mutex_);
  // Read under the lock, so that the list is in the order of the ends. The handle too is set here:
  // a sweep that sees the call sees its handle.
  const absl::Duration ends = MonotonicNow() + limit_;
  *handle = calls_.emplace(calls_.end(), ends, std::move(call));
}

void PendingCalls::Remove(Handle handle) {
  std::shared_ptr<PendingCall> removed;  // its destructor runs without the lock
  MutexLock lock(mutex_);
  removed = std::move(handle->second);
  calls_.erase(handle);
}

void PendingCalls::EndAll(const absl::Status& status) {
  std::vector<std::shared_ptr<PendingCall>> all;
  {
    MutexLock lock(mutex_);
    for (const auto& [ends, call] : calls_) all.push_back(call);
  }
  for (const std::shared_ptr<PendingCall>& call : all) call->End(status);
}

size_t PendingCalls::size() {
  MutexLock lock(mutex_);
  return calls_.size();
}

void PendingCalls::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (!stopping_) changed_.WaitFor(mutex_, kSweep);
      if (stopping_) return;
    }
    EndOverdue();
    if (on_sweep_) on_sweep_();
  }
}

void PendingCalls::EndOverdue() {
  const absl::Duration now = MonotonicNow();
  std::vector<std::shared_ptr<PendingCall>> overdue;
  {
    MutexLock lock(mutex_);
    for (const auto& [ends, call] : calls_) {
      if (ends > now) break;
      overdue.push_back(call);
    }
  }
  for (const std::shared_ptr<PendingCall>& call : overdue) {
    call->End(absl::DeadlineExceededError("the broker could not answer in time; try again"));
  }
}

}  // namespace werkplek
