#include "broker/rpc/polling_threads.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "common/base/log.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"

namespace werkplek {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(1);

// The threads are the process', so only one may hold them.
std::atomic<bool> taken = false;

// As gRPC 1.51 counts them (its completion_queue_cc.cc).
int CallbackThreads() {
  return static_cast<int>(std::clamp(sysconf(_SC_NPROCESSORS_CONF) / 2, 2L, 16L));
}

// A call that nobody serves: what counts is the thread that its answer comes on.
struct NobodysCall {
  grpc::ClientContext context;
  const grpc::Slice nothing;
  const grpc::ByteBuffer request{&nothing, 1};
  grpc::ByteBuffer response;
};

}  // namespace

PollingThreads::PollingThreads(grpc::Server* server) : shared_(std::make_shared<Shared>()) {
  if (taken.exchange(true)) return;
  channel_ = server->InProcessChannel(grpc::ChannelArguments());
  const int hold = CallbackThreads() - 1;
  for (int i = 0; i < hold; ++i) Call(/*hold=*/true);
  if (WaitForCalls(hold, /*held=*/hold)) {
    // One must be left.
    Call(/*hold=*/false);
    if (WaitForCalls(hold, /*held=*/hold)) return;
  }
  Log(Severity::kWarning, "polling-threads-kept",
      {{"reason", "gRPC has not those it should have"}});
  LetGo();
}

PollingThreads::~PollingThreads() {
  if (channel_ == nullptr) return;
  LetGo();
  WaitForCalls(0, /*held=*/0);
  taken = false;
}

void PollingThreads::Call(bool hold) {
  auto call = std::make_shared<NobodysCall>();
  call->context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoSeconds(kLimit));
  {
    MutexLock lock(shared_->mutex);
    ++shared_->calls;
  }
  grpc::GenericStub(channel_).UnaryCall(&call->context, "/werkplek.v1.Nobody/Call",
                                        grpc::StubOptions(), &call->request, &call->response,
                                        [call, hold, shared = shared_](const auto&) mutable {
                                          // It has the channel, whose last holder must not be a
                                          // thread of gRPC's: that one would wait for itself.
                                          call = nullptr;
                                          MutexLock lock(shared->mutex);
                                          if (hold) {
                                            ++shared->held;
                                            shared->changed.SignalAll();
                                            while (!shared->let_go)
                                              shared->changed.Wait(shared->mutex);
                                            --shared->held;
                                          }
                                          --shared->calls;
                                          shared->changed.SignalAll();
                                        });
}

bool PollingThreads::WaitForCalls(int calls, int held) {
  MutexLock lock(shared_->mutex);
  while (shared_->calls != calls || shared_->held != held) {
    if (!shared_->changed.WaitFor(shared_->mutex, kLimit)) return false;
  }
  return true;
}

void PollingThreads::LetGo() {
  MutexLock lock(shared_->mutex);
  shared_->let_go = true;
  shared_->changed.SignalAll();
}

}  // namespace werkplek
