#include "common/grpc/calls_under_way.h"

namespace werkplek {

bool CallsUnderWay::Add(grpc::ClientContext& context) {
  MutexLock lock(mutex_);
  if (ending_) return false;
  cancellable_.insert(&context);
  ++count_;
  return true;
}

void CallsUnderWay::Remove(std::unique_ptr<grpc::ClientContext> context) {
  {
    MutexLock lock(mutex_);
    cancellable_.erase(context.get());
  }
  context = nullptr;
  MutexLock lock(mutex_);
  --count_;
  changed_.SignalAll();
}

void CallsUnderWay::CancelAndWait() {
  MutexLock lock(mutex_);
  ending_ = true;
  for (grpc::ClientContext* context : cancellable_) context->TryCancel();
  while (count_ > 0) changed_.Wait(mutex_);
}

}  // namespace werkplek
