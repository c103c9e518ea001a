// What an election knows of the leader, for leader() and WatchLeader().
#pragma once

#include <memory>
#include <utility>

#include "broker/node/ports.h"
#include "common/base/mutex.h"

namespace werkplek {

// Thread-safe.
class LeaderView {
 public:
  // `executor` outlives the view; the watcher runs on it.
  explicit LeaderView(Executor* executor) : state_(std::make_shared<State>()) {
    state_->executor = executor;
  }

  LeaderInfo Get() const {
    MutexLock lock(state_->mutex);
    return state_->leader;
  }

  void Watch(absl::AnyInvocable<void(const LeaderInfo&)> changed) {
    {
      MutexLock lock(state_->watch_mutex);
      state_->changed = std::move(changed);
    }
    MutexLock lock(state_->mutex);
    state_->watched = true;
  }

  // Tells the watcher, soon, when this is news.
  void Set(LeaderInfo leader) {
    {
      MutexLock lock(state_->mutex);
      if (state_->leader == leader) return;
      state_->leader = leader;
      if (!state_->watched) return;
    }
    state_->executor->Post([state = state_, leader = std::move(leader)] {
      MutexLock lock(state->watch_mutex);
      if (state->changed) state->changed(leader);
    });
  }

  // The watcher hears nothing after this returns; waits for one that runs. Not from the watcher.
  void Stop() {
    MutexLock lock(state_->watch_mutex);
    state_->changed = nullptr;
  }

 private:
  struct State {
    Executor* executor = nullptr;
    Mutex mutex;
    LeaderInfo leader ABSL_GUARDED_BY(mutex);
    bool watched ABSL_GUARDED_BY(mutex) = false;
    Mutex watch_mutex;  // Held while the watcher runs.
    absl::AnyInvocable<void(const LeaderInfo&)> changed ABSL_GUARDED_BY(watch_mutex);
  };
  const std::shared_ptr<State> state_;
};

}  // namespace werkplek
