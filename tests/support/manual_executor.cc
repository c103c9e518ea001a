#include "tests/support/manual_executor.h"

#include <algorithm>

namespace werkplek {

absl::Time ManualExecutor::Now() const {
  MutexLock lock(mutex_);
  return start_ + elapsed_ + wall_jump_;
}

absl::Duration ManualExecutor::Monotonic() const {
  MutexLock lock(mutex_);
  return elapsed_;
}

std::string ManualExecutor::RandomBytes(size_t count) {
  MutexLock lock(mutex_);
  std::string bytes;
  bytes.reserve(count + 8);
  while (bytes.size() < count) {
    // SplitMix64: every seed gives its own full-period sequence.
    random_state_ += 0x9e3779b97f4a7c15;
    uint64_t word = random_state_;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    word ^= word >> 31;
    for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(word >> shift));
  }
  bytes.resize(count);
  return bytes;
}

void ManualExecutor::Post(Task task) { PostAfter(absl::ZeroDuration(), std::move(task)); }

void ManualExecutor::PostAfter(absl::Duration delay, Task task) {
  MutexLock lock(mutex_);
  tasks_.emplace(std::make_pair(elapsed_ + std::max(delay, absl::ZeroDuration()), next_sequence_++),
                 std::move(task));
  posted_.Signal();
}

bool ManualExecutor::RunNext(absl::Duration until) {
  Task task;
  {
    MutexLock lock(mutex_);
    if (tasks_.empty() || tasks_.begin()->first.first > until) return false;
    elapsed_ = std::max(elapsed_, tasks_.begin()->first.first);
    task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
  }
  task();
  return true;
}

size_t ManualExecutor::RunUntilIdle() {
  size_t ran = 0;
  while (RunNext(Monotonic())) ++ran;
  return ran;
}

void ManualExecutor::Advance(absl::Duration by) {
  const absl::Duration until = Monotonic() + by;
  while (RunNext(until)) {
  }
  MutexLock lock(mutex_);
  elapsed_ = std::max(elapsed_, until);
}

bool ManualExecutor::RunOne() { return RunNext(absl::InfiniteDuration()); }

bool ManualExecutor::WaitUntilDue(absl::Duration real_timeout) {
  MutexLock lock(mutex_);
  while (tasks_.empty() || tasks_.begin()->first.first > elapsed_) {
    if (!posted_.WaitFor(mutex_, real_timeout)) return false;
  }
  return true;
}

void ManualExecutor::JumpWallClock(absl::Duration by) {
  MutexLock lock(mutex_);
  wall_jump_ += by;
}

size_t ManualExecutor::waiting() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

}  // namespace werkplek
