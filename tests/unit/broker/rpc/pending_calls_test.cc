#include "broker/rpc/pending_calls.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace werkplek {
namespace {

// Ends once, as UnaryCall does, and tells whoever waits.
class FakeCall : public PendingCall {
 public:
  explicit FakeCall(PendingCalls* calls) : calls_(calls) {}

  void End(const absl::Status& status) override {
    {
      MutexLock lock(mutex_);
      if (ended_) return;
      ended_ = true;
      status_ = status;
    }
    calls_->Remove(handle);
    MutexLock lock(mutex_);
    told_ = true;
    changed_.SignalAll();
  }

  // The status it ended with; OK when it did not end within ten seconds.
  absl::Status WaitForEnd() {
    MutexLock lock(mutex_);
    while (!told_) {
      if (!changed_.WaitFor(mutex_, absl::Seconds(10))) return absl::OkStatus();
    }
    return status_;
  }

  PendingCalls::Handle handle;

 private:
  PendingCalls* const calls_;
  Mutex mutex_;
  CondVar changed_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

TEST(PendingCalls, EndsWhatTakesTooLong) {
  PendingCalls calls(absl::Milliseconds(1));
  auto call = std::make_shared<FakeCall>(&calls);
  calls.Add(call, &call->handle);
  EXPECT_EQ(call->WaitForEnd().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(calls.size(), 0u);
}

TEST(PendingCalls, ForgetsWhatEnded) {
  PendingCalls calls(absl::Hours(1));
  std::vector<std::shared_ptr<FakeCall>> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(std::make_shared<FakeCall>(&calls));
    calls.Add(all.back(), &all.back()->handle);
  }
  all[2]->End(absl::CancelledError("gone"));
  EXPECT_EQ(calls.size(), 4u);
  EXPECT_EQ(all[2].use_count(), 1);
}

TEST(PendingCalls, EndsAllAtAStop) {
  PendingCalls calls(absl::Hours(1));
  std::vector<std::shared_ptr<FakeCall>> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(std::make_shared<FakeCall>(&calls));
    calls.Add(all.back(), &all.back()->handle);
  }
  calls.EndAll(absl::UnavailableError("stopping"));
  for (const auto& call : all) {
    EXPECT_EQ(call->WaitForEnd().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(calls.size(), 0u);
}

}  // namespace
}  // namespace werkplek
