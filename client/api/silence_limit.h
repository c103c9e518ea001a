// Ends a call whose next message does not come in time, although its connection stands.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "grpcpp/alarm.h"
#include "grpcpp/client_context.h"

namespace werkplek {

// Not thread-safe: belongs to the thread that reads the call.
class SilenceLimit {
 public:
  // `context` outlives this.
  explicit SilenceLimit(grpc::ClientContext* context);
  ~SilenceLimit();
  SilenceLimit(const SilenceLimit&) = delete;
  SilenceLimit& operator=(const SilenceLimit&) = delete;

  // From now on something must come within `limit`, or the call is cancelled. Infinite: no bound.
  void Restart(absl::Duration limit);

  // Whether the call was cancelled for its silence.
  bool passed() const;

 private:
  struct State;

  // Outlives this, since a timer that is given up tells so later, on a thread of gRPC.
  const std::shared_ptr<State> state_;
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace werkplek
