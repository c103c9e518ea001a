#include "agent/link/broker_plan.h"

#include <algorithm>
#include <utility>

namespace werkplek {
namespace {

// Brokers that send an agent round are not followed for ever.
constexpr int kMaxRedirects = 3;

// The leader answers each second report. Of the time before the fence this much is waited, so that
// the rest is enough for the lead to pass on and for the new leader to be found; but one report or
// answer may be late or lost.
absl::Duration SilenceLimit(const v1::AgentCommand& command, absl::Duration most) {
  return std::max(std::min(most, absl::Milliseconds(command.fence_after_ms()) * 2 / 5),
                  absl::Milliseconds(command.report_interval_ms()) * 3);
}

}  // namespace

BrokerPlan::BrokerPlan(BrokerLinkSettings settings)
    : settings_(std::move(settings)), silence_limit_(settings_.silence_limit) {}

std::string BrokerPlan::Begin(absl::Duration now) {
  heard_ = false;
  last_word_ = now;
  std::string first = std::exchange(first_try_, "");
  return first.empty() ? NextOfList() : first;
}

std::string BrokerPlan::NextOfList() {
  const std::string& next = settings_.brokers[next_++ % settings_.brokers.size()];
  // It had its turn just now, perhaps because another one named it.
  return next == last_ ? settings_.brokers[next_++ % settings_.brokers.size()] : next;
}

void BrokerPlan::Heard(const v1::AgentCommand& command, absl::Duration now) {
  heard_ = true;
  last_word_ = now;
  // A broker that answers is stayed with.
  pause_ = absl::ZeroDuration();
  // Only HEARD says it.
  if (command.fence_after_ms() == 0) return;
  silence_limit_ = SilenceLimit(command, settings_.silence_limit);
}

absl::Duration BrokerPlan::limit() const {
  // A leader to which a thousand hosts come at once is slow, not dead: whoever leaves it again and
  // again makes it slower.
  return heard_ ? silence_limit_ : std::max(settings_.answer_limit, 2 * pause_);
}

absl::Duration BrokerPlan::Ended(const End& end, uint8_t chance) {
  if (heard_) redirects_ = 0;
  last_ = end.broker;
  if (!end.leader.empty() && end.leader != end.broker && redirects_ < kMaxRedirects) {
    ++redirects_;
    first_try_ = end.leader;
    // It is known where to go; the pause only keeps a thousand hosts from coming at once.
    return Spread(settings_.first_pause, chance);
  }
  redirects_ = 0;
  // The same broker once more when it was the leader until now. One that fell silent has its turn
  // after the others: it may be dead, and it may only be slow.
  if (heard_ && !end.silent) first_try_ = end.broker;
  pause_ = pause_ == absl::ZeroDuration() ? settings_.first_pause
                                          : std::min(pause_ * 2, settings_.last_pause);
  return Spread(pause_, chance);
}

absl::Duration BrokerPlan::Spread(absl::Duration pause, uint8_t chance) {
  return pause / 2 + pause / 2 * chance / 255;
}

}  // namespace werkplek
