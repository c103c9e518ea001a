// The fake Executor: virtual time that moves only when the test says so, and random bytes from a
// seed. The same posts give the same runs.
//
// Posting is allowed from any thread (a store's writer posts its answers); running is for one
// thread, the test's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "common/base/executor.h"
#include "common/base/mutex.h"

namespace werkplek {

class ManualExecutor : public Executor {
 public:
  explicit ManualExecutor(uint64_t seed = 1,
                          absl::Time start = absl::FromUnixSeconds(1'900'000'000))
      : start_(start), random_state_(seed) {}

  absl::Time Now() const override;
  absl::Duration Monotonic() const override;
  std::string RandomBytes(size_t count) override;
  void Post(Task task) override;
  void PostAfter(absl::Duration delay, Task task) override;

  // Runs all that is due, also what that posts; time stands still. Returns how many tasks ran.
  size_t RunUntilIdle();
  // Lets `by` pass, running each task at its time.
  void Advance(absl::Duration by);
  // Moves to the next task's time and runs that one task. False: there is none.
  bool RunOne();
  // Waits, in real time, until something is due (another thread may post). False: nothing came.
  bool WaitUntilDue(absl::Duration real_timeout);

  // Moves the wall clock alone, as an administrator or a bad time source would.
  void JumpWallClock(absl::Duration by);
  size_t waiting() const;

 private:
  // Runs the first task that is due at or before `until`.
  bool RunNext(absl::Duration until);

  const absl::Time start_;
  mutable Mutex mutex_;
  CondVar posted_;
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_);
  absl::Duration wall_jump_ ABSL_GUARDED_BY(mutex_);
  uint64_t random_state_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<absl::Duration, uint64_t>, Task> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
