// One direction of one stream: messages arrive in order, are held up while the network is cut, and
// all of it breaks when that lasts.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"

namespace werkplek::sim {

class World;

class Pipe : public std::enable_shared_from_this<Pipe> {
 public:
  // `broke` is called once, when nothing got through for `patience`.
  Pipe(World& world, std::string from, std::string to, absl::Duration patience,
       std::function<void()> broke);

  // `arrive` runs at the other end, unless the pipe is closed before.
  void Send(std::function<void()> arrive);
  // What is under way takes at least until then.
  void StallUntil(absl::Duration until) { stalled_until_ = std::max(stalled_until_, until); }
  void Close();

 private:
  void Pump();
  void PumpAfter(absl::Duration delay);

  struct Message {
    absl::Duration due;
    std::function<void()> arrive;
  };

  World& world_;
  const std::string from_;
  const std::string to_;
  const absl::Duration patience_;
  const std::function<void()> broke_;
  bool closed_ = false;
  bool pumping_ = false;
  absl::Duration stalled_until_;
  absl::Duration blocked_since_ = absl::InfiniteDuration();
  std::deque<Message> messages_;
};

}  // namespace werkplek::sim
