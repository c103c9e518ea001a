// The loop of one simulated process: virtual time that can stop for this process alone, as by
// SIGSTOP. What falls due meanwhile waits, and runs late and in order once it goes on.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "common/base/executor.h"

namespace werkplek::sim {

class ProcessExecutor : public Executor {
 public:
  // `world` outlives every task.
  explicit ProcessExecutor(Executor* world) : world_(world) {}

  absl::Time Now() const override { return world_->Now() + wall_offset_; }
  absl::Duration Monotonic() const override { return world_->Monotonic() + monotonic_offset_; }
  std::string RandomBytes(size_t count) override { return world_->RandomBytes(count); }
  void Post(Task task) override { PostAfter(absl::ZeroDuration(), std::move(task)); }
  void PostAfter(absl::Duration delay, Task task) override {
    world_->PostAfter(delay, [state = state_, task = std::move(task)]() mutable {
      if (state->paused) {
        state->waiting.push_back(std::move(task));
      } else {
        task();
      }
    });
  }

  bool paused() const { return state_->paused; }
  void Pause() { state_->paused = true; }
  // Not from a task of this executor.
  void Resume() {
    state_->paused = false;
    while (!state_->waiting.empty() && !state_->paused) {
      Task task = std::move(state_->waiting.front());
      state_->waiting.pop_front();
      task();
    }
  }
  // The process died: what waited never runs.
  void Reset() {
    state_->paused = false;
    state_->waiting.clear();
  }
  // How far this process' clocks are off.
  void SetWallOffset(absl::Duration offset) { wall_offset_ = offset; }
  void SetMonotonicOffset(absl::Duration offset) { monotonic_offset_ = offset; }

 private:
  struct State {
    bool paused = false;
    std::deque<Task> waiting;
  };

  Executor* const world_;
  absl::Duration wall_offset_;
  absl::Duration monotonic_offset_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace werkplek::sim
