// The fake Election: leads when the test says so, and tells late when the test says so.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "broker/election/leader_view.h"
#include "broker/node/ports.h"
#include "common/base/mutex.h"

namespace werkplek {

// Callbacks run on the executor, `news_delay` after what they tell of. One thread, but for
// LeaderSeen and seen.
class FakeElection : public Election {
 public:
  // `own` is what leader() tells while this broker leads; its epoch is filled in.
  explicit FakeElection(Executor* executor, LeaderInfo own = {})
      : view_(executor), state_(std::make_shared<State>(&view_)) {
    state_->executor = executor;
    state_->own = std::move(own);
  }
  ~FakeElection() override { FakeElection::Stop(); }

  void Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
             absl::AnyInvocable<void()> lost) override {
    state_->elected = std::move(elected);
    state_->lost = std::move(lost);
    state_->running = true;
    if (state_->wins) Win(state_);
  }
  void StepDown() override {
    Lose();
    if (state_->wins) Win(state_);
  }
  void Stop() override {
    view_.Stop();
    state_->running = false;
    state_->leads = false;
    view_.Set({});
  }
  LeaderInfo leader() const override { return view_.Get(); }
  void WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) override {
    view_.Watch(std::move(changed));
  }
  void LeaderSeen(uint64_t epoch, LeaderSign sign) override {
    MutexLock lock(seen_mutex_);
    seen_.emplace_back(epoch, sign);
  }

  // All that this broker said of leaders so far. From any thread.
  std::vector<std::pair<uint64_t, LeaderSign>> seen() const {
    MutexLock lock(seen_mutex_);
    return seen_;
  }

  // Whether campaigns are won from now on; a leader that may not win any more is told that it lost.
  void SetWins(bool wins) {
    state_->wins = wins;
    if (!wins) Lose();
    if (wins && !state_->leads) Win(state_);
  }
  // How late this broker hears what became of it.
  void SetNewsDelay(absl::Duration delay) { state_->news_delay = delay; }
  // The epoch of the next victory is higher than `epoch`: another broker led in between.
  void Surpass(uint64_t epoch) { state_->last_epoch = std::max(state_->last_epoch, epoch); }
  uint64_t last_epoch() const { return state_->last_epoch; }
  // This broker hears, as late as all news, that another one leads (or, when empty, that none is
  // known).
  void HearOf(LeaderInfo other) {
    Tell(state_, [state = state_, other = std::move(other)] {
      if (!state->told_leads) state->view->Set(other);
    });
  }

 private:
  struct State {
    explicit State(LeaderView* of) : view(of) {}
    LeaderView* const view;
    LeaderInfo own;
    // Whether the last news was that this broker leads.
    bool told_leads = false;
    Executor* executor = nullptr;
    absl::AnyInvocable<void(uint64_t)> elected;
    absl::AnyInvocable<void()> lost;
    bool running = false;
    bool leads = false;
    bool wins = true;
    uint64_t last_epoch = 0;
    absl::Duration news_delay;
    absl::Duration last_news;
  };

  void Lose() {
    if (!state_->leads) return;
    state_->leads = false;
    Tell(state_, [state = state_] {
      state->told_leads = false;
      state->view->Set({});
      state->lost();
    });
  }
  // News comes late, but in order.
  static void Tell(const std::shared_ptr<State>& state, Executor::Task news) {
    const absl::Duration now = state->executor->Monotonic();
    state->last_news = std::max(state->last_news, now + state->news_delay);
    state->executor->PostAfter(state->last_news - now, [state, news = std::move(news)]() mutable {
      if (state->running) news();
    });
  }
  static void Win(const std::shared_ptr<State>& state) {
    if (!state->running || state->leads) return;
    state->leads = true;
    Tell(state, [state, epoch = ++state->last_epoch] {
      state->told_leads = true;
      LeaderInfo leader = state->own;
      leader.epoch = epoch;
      state->view->Set(std::move(leader));
      state->elected(epoch);
    });
  }

  LeaderView view_;
  const std::shared_ptr<State> state_;
  mutable Mutex seen_mutex_;
  std::vector<std::pair<uint64_t, LeaderSign>> seen_ ABSL_GUARDED_BY(seen_mutex_);
};

}  // namespace werkplek
