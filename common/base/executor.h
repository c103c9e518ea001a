// The port to time, order and chance: one loop thread, its clock and its random bytes.
//
// Everything posted runs one after another on one thread, in the order of (time, sequence of
// posting). The real one is LoopExecutor; the fake (tests/support/manual_executor.h) runs on
// virtual time.
#pragma once

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"

namespace werkplek {

class Executor {
 public:
  using Task = absl::AnyInvocable<void()>;

  virtual ~Executor() = default;

  // Wall clock. For times that are stored or shown, and for one-time codes.
  virtual absl::Time Now() const = 0;
  // A clock that never jumps and runs on through a suspend (CLOCK_BOOTTIME), counted from an
  // arbitrary start. For timeouts.
  virtual absl::Duration Monotonic() const = 0;
  virtual std::string RandomBytes(size_t count) = 0;

  // Runs the task on the loop thread, soon. From any thread. After the loop has stopped, the task
  // is destroyed unrun.
  virtual void Post(Task task) = 0;
  virtual void PostAfter(absl::Duration delay, Task task) = 0;
};

}  // namespace werkplek
