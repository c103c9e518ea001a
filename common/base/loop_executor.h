// The real Executor: a thread that runs tasks in order of time and posting.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "common/base/executor.h"
#include "common/base/mutex.h"

namespace werkplek {

// Starts its thread at once; the destructor finishes the task that runs, drops the rest, and joins.
class LoopExecutor : public Executor {
 public:
  // `name` is the thread's, at most 15 bytes.
  explicit LoopExecutor(const std::string& name);
  ~LoopExecutor() override;
  LoopExecutor(const LoopExecutor&) = delete;
  LoopExecutor& operator=(const LoopExecutor&) = delete;

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  std::string RandomBytes(size_t count) override;
  void Post(Task task) override;
  void PostAfter(absl::Duration delay, Task task) override;

  // Runs what is due, then stops; later posts are dropped. Idempotent; not from the loop thread.
  void Stop();

 private:
  void Run();

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<absl::Duration, uint64_t>, Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace werkplek
