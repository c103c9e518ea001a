// Lets one thread of gRPC's poll and run handlers, in place of at least two.
//
// gRPC 1.51 gives the callback API a thread for each two processors, and two at least. All of them
// poll; whoever gets an event wakes the next before it handles its own. That is worth it where
// handlers compute. Ours only hand on, so the waking costs more than the work
// (docs/adr/0044-one-polling-thread.md).
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "grpcpp/channel.h"
#include "grpcpp/server.h"

namespace werkplek {

// Holds all of the process' callback threads but one while it lives; the first of several does.
class PollingThreads {
 public:
  // `server` has started, and runs until this is gone.
  explicit PollingThreads(grpc::Server* server);
  // Lets go.
  ~PollingThreads();
  PollingThreads(const PollingThreads&) = delete;
  PollingThreads& operator=(const PollingThreads&) = delete;

 private:
  struct Shared {
    Mutex mutex;
    CondVar changed;
    // Calls whose callback has not come yet or that are held.
    int calls ABSL_GUARDED_BY(mutex) = 0;
    int held ABSL_GUARDED_BY(mutex) = 0;
    bool let_go ABSL_GUARDED_BY(mutex) = false;
  };

  // Makes a call within the process, whose callback takes a thread.
  void Call(bool hold);
  // Waits until so many calls are under way and so many threads are held. False: not in time.
  bool WaitForCalls(int calls, int held);
  void LetGo();

  // Null: another one holds them already.
  std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace werkplek
