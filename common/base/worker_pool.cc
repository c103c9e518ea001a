#include "common/base/worker_pool.h"

#include <pthread.h>

#include "absl/strings/str_cat.h"

namespace werkplek {

WorkerPool::WorkerPool(std::string name, int threads, size_t max_queued)
    : name_(std::move(name)), max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), name_.substr(0, 15).c_str());
  }
}

WorkerPool::~WorkerPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::Status WorkerPool::Submit(absl::AnyInvocable<void()> task) {
  MutexLock lock(mutex_);
  if (stopping_) return absl::UnavailableError(absl::StrCat(name_, " is stopping"));
  if (queue_.size() >= max_queued_) {
    return absl::ResourceExhaustedError(
        absl::StrCat(name_, ": ", max_queued_, " tasks wait already; try again shortly"));
  }
  queue_.push_back(std::move(task));
  changed_.Signal();
  return absl::OkStatus();
}

void WorkerPool::Run() {
  for (;;) {
    absl::AnyInvocable<void()> task;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace werkplek
