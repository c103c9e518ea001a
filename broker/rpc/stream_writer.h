// The writing half of a stream, fed from any thread.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "broker/rpc/outgoing.h"
#include "broker/rpc/rpc_status.h"
#include "common/base/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace werkplek {

// `Reactor` is grpc::ServerWriteReactor<Message> or grpc::ServerBidiReactor<..., Message>. The
// derived class keeps itself alive until OnDone.
template <typename Reactor, typename Message>
class StreamWriter : public Reactor {
 public:
  // `context` is gRPC's, valid until the stream is done.
  StreamWriter(grpc::CallbackServerContext* context, size_t max_waiting)
      : context_(context), outgoing_(max_waiting) {}

  // Queues a message (Outgoing::Push). False: it was not queued.
  bool Push(const std::string& key, Message message) {
    return Do([&](Outgoing<Message>& outgoing) { return outgoing.Push(key, std::move(message)); });
  }
  // Ends the stream after what waits.
  void End(const absl::Status& status) {
    Do([&](Outgoing<Message>& outgoing) {
      outgoing.End(status);
      return true;
    });
  }
  // Ends the stream without what waits.
  void Abort(const absl::Status& status) {
    Do([&](Outgoing<Message>& outgoing) {
      outgoing.Abort(status);
      return true;
    });
  }

  void OnWriteDone(bool ok) final {
    Do([ok](Outgoing<Message>& outgoing) {
      outgoing.WriteDone(ok);
      return true;
    });
  }

 private:
  // gRPC may call back from inside of StartWrite and Finish, so the lock is let go before.
  template <typename Change>
  bool Do(Change change) {
    typename Outgoing<Message>::Step step;
    bool result;
    {
      MutexLock lock(mutex_);
      result = change(outgoing_);
      step = outgoing_.Next();
    }
    switch (step) {
      case Outgoing<Message>::Step::kNothing:
        break;
      case Outgoing<Message>::Step::kWrite:
        this->StartWrite(&Current());
        break;
      case Outgoing<Message>::Step::kFinish:
        this->Finish(ToGrpc(Status(), context_));
        break;
    }
    return result;
  }

  const Message& Current() {
    MutexLock lock(mutex_);
    return outgoing_.current();
  }
  absl::Status Status() {
    MutexLock lock(mutex_);
    return outgoing_.status();
  }

  grpc::CallbackServerContext* const context_;
  Mutex mutex_;
  Outgoing<Message> outgoing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
