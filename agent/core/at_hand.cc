#include "agent/core/at_hand.h"

#include <utility>

namespace werkplek {

AtHand::AtHand(std::vector<std::string> configured, absl::Duration interval,
               absl::Duration patience)
    : configured_(configured.begin(), configured.end()), interval_(interval), patience_(patience) {}

AtHand::Step AtHand::Due(absl::Duration now) {
  if (configured_.empty()) return Step::kNothing;
  if (asking_) {
    if (now < asked_ + patience_ || names_.empty()) return Step::kNothing;
    names_.clear();
    return Step::kGaveUp;
  }
  if (now < asked_ + interval_) return Step::kNothing;
  asking_ = true;
  asked_ = now;
  return Step::kAsk;
}

bool AtHand::Answered(const std::vector<std::string>& names) {
  asking_ = false;
  std::set<std::string> answered;
  for (const std::string& name : names) {
    if (configured_.count(name) > 0) answered.insert(name);
  }
  if (answered == names_) return false;
  names_ = std::move(answered);
  return true;
}

absl::Duration AtHand::wake_at(absl::Duration now) const {
  if (configured_.empty()) return absl::InfiniteDuration();
  const absl::Duration wake = asked_ + (asking_ ? patience_ : interval_);
  return wake <= now ? absl::InfiniteDuration() : wake;
}

}  // namespace werkplek
