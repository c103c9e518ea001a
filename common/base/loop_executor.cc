#include "common/base/loop_executor.h"

#include <pthread.h>

#include <algorithm>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/crypto.h"
#include "common/base/monotonic.h"

namespace werkplek {

LoopExecutor::LoopExecutor(const std::string& name) : thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

LoopExecutor::~LoopExecutor() { Stop(); }

void LoopExecutor::Stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

absl::Time LoopExecutor::Now() const { return absl::Now(); }

absl::Duration LoopExecutor::Monotonic() const { return MonotonicNow(); }

std::string LoopExecutor::RandomBytes(size_t count) { return werkplek::RandomBytes(count); }

void LoopExecutor::Post(Task task) { PostAfter(absl::ZeroDuration(), std::move(task)); }

void LoopExecutor::PostAfter(absl::Duration delay, Task task) {
  const absl::Duration when = Monotonic() + std::max(delay, absl::ZeroDuration());
  MutexLock lock(mutex_);
  if (stopping_) return;
  tasks_.emplace(std::make_pair(when, next_sequence_++), std::move(task));
  changed_.Signal();
}

void LoopExecutor::Run() {
  std::map<std::pair<absl::Duration, uint64_t>, Task> dropped;
  for (;;) {
    // All that is due, at one taking of the lock.
    std::vector<Task> due;
    {
      MutexLock lock(mutex_);
      for (;;) {
        const absl::Duration now = Monotonic();
        if (!tasks_.empty() && tasks_.begin()->first.first <= now) break;
        if (stopping_) {
          dropped.swap(tasks_);
          return;
        }
        if (tasks_.empty()) {
          changed_.Wait(mutex_);
        } else {
          changed_.WaitFor(mutex_, tasks_.begin()->first.first - now);
        }
      }
      const absl::Duration now = Monotonic();
      while (!tasks_.empty() && tasks_.begin()->first.first <= now) {
        due.push_back(std::move(tasks_.begin()->second));
        tasks_.erase(tasks_.begin());
      }
    }
    for (Task& task : due) {
      task();
      // What it holds goes before the next one runs.
      task = nullptr;
    }
  }
}

}  // namespace werkplek
