// One person's way to a desktop: the Connect stream of a broker, over as many brokers as it takes.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "gateway/link/broker_lines.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

// Thread-safe.
class DesktopCall {
 public:
  struct Listener {
    // Each stage, in order. From any thread, one at a time.
    std::function<void(const v1::ConnectUpdate&)> update;
    // The stream ended, once, after all updates. OK: as it should. UNAVAILABLE: no broker could go
    // on; the same request may be made again.
    std::function<void(const absl::Status&)> end;
  };

  // Begins at once. `lines` outlives the call and what it tells; `listener` may be told until
  // `end`, also after this object has gone.
  DesktopCall(BrokerLines* lines, CalledFor whom, v1::ConnectRequest request, Listener listener);
  // Gives up: a place in a queue is free for others.
  ~DesktopCall();
  DesktopCall(const DesktopCall&) = delete;
  DesktopCall& operator=(const DesktopCall&) = delete;

 private:
  class Stream;
  const std::shared_ptr<Stream> stream_;
};

}  // namespace werkplek
