#include "tests/sim/pipe.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kTriedAgain = absl::Milliseconds(200);

}  // namespace

Pipe::Pipe(World& world, std::string from, std::string to, absl::Duration patience,
           std::function<void()> broke)
    : world_(world),
      from_(std::move(from)),
      to_(std::move(to)),
      patience_(patience),
      broke_(std::move(broke)) {}

void Pipe::Close() {
  closed_ = true;
  messages_.clear();
}

void Pipe::Send(std::function<void()> arrive) {
  if (closed_) return;
  absl::Duration due = std::max(world_.now() + world_.Hop(), stalled_until_);
  if (!messages_.empty()) due = std::max(due, messages_.back().due);
  messages_.push_back({due, std::move(arrive)});
  if (!pumping_) PumpAfter(due - world_.now());
}

void Pipe::PumpAfter(absl::Duration delay) {
  pumping_ = true;
  world_.After(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->Pump();
  });
}

void Pipe::Pump() {
  pumping_ = false;
  if (closed_ || messages_.empty()) return;
  if (!world_.network().Open(from_, to_)) {
    blocked_since_ = std::min(blocked_since_, world_.now());
    if (world_.now() - blocked_since_ < patience_) return PumpAfter(kTriedAgain);
    Close();
    return broke_();
  }
  blocked_since_ = absl::InfiniteDuration();
  const auto self = shared_from_this();
  while (!closed_ && !messages_.empty() &&
         std::max(messages_.front().due, stalled_until_) <= world_.now()) {
    const std::function<void()> arrive = std::move(messages_.front().arrive);
    messages_.pop_front();
    arrive();
  }
  if (closed_ || messages_.empty() || pumping_) return;
  PumpAfter(std::max(messages_.front().due, stalled_until_) - world_.now());
}

}  // namespace werkplek::sim
