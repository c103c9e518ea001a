// A named, bounded set of threads for work that blocks (LDAP, SQLite, libvirt, files).
#pragma once

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace werkplek {

// The destructor runs what is queued, then joins. Thread-safe.
class WorkerPool {
 public:
  WorkerPool(std::string name, int threads, size_t max_queued);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // RESOURCE_EXHAUSTED when `max_queued` tasks wait already; the task is then not run.
  absl::Status Submit(absl::AnyInvocable<void()> task);

 private:
  void Run();

  const std::string name_;
  const size_t max_queued_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace werkplek
