#include "client/api/silence_limit.h"

#include <chrono>
#include <cstdint>

#include "common/base/mutex.h"

namespace werkplek {

struct SilenceLimit::State {
  explicit State(grpc::ClientContext* call) : context(call) {}

  Mutex mutex;
  // nullptr: the call may be gone.
  grpc::ClientContext* context ABSL_GUARDED_BY(mutex);
  // Counts the timers; only the last one counts.
  int64_t timer ABSL_GUARDED_BY(mutex) = 0;
  bool passed ABSL_GUARDED_BY(mutex) = false;
};

SilenceLimit::SilenceLimit(grpc::ClientContext* context)
    : state_(std::make_shared<State>(context)) {}

SilenceLimit::~SilenceLimit() {
  const MutexLock lock(state_->mutex);
  state_->context = nullptr;
}

void SilenceLimit::Restart(absl::Duration limit) {
  int64_t timer = 0;
  {
    const MutexLock lock(state_->mutex);
    timer = ++state_->timer;
  }
  alarm_.reset();
  if (limit == absl::InfiniteDuration()) return;
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(limit),
              [state = state_, timer](bool expired) {
                const MutexLock lock(state->mutex);
                if (!expired || timer != state->timer || state->context == nullptr) return;
                state->passed = true;
                state->context->TryCancel();
              });
}

bool SilenceLimit::passed() const {
  const MutexLock lock(state_->mutex);
  return state_->passed;
}

}  // namespace werkplek
