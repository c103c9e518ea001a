#include "broker/directory/gathering.h"

#include <algorithm>

namespace werkplek {

void Gathering::Add(uint64_t call, absl::Duration now) {
  if (calls_.empty()) since_ = now;
  calls_.push_back(call);
}

std::vector<uint64_t> Gathering::Take(absl::Duration now, bool busy) {
  if (busy && calls_.size() < kPeoplePerSearch && Rest(now) > absl::ZeroDuration()) return {};
  const auto end =
      calls_.begin() + static_cast<ptrdiff_t>(std::min(calls_.size(), kPeoplePerSearch));
  std::vector<uint64_t> taken(calls_.begin(), end);
  calls_.erase(calls_.begin(), end);
  return taken;
}

absl::Duration Gathering::Rest(absl::Duration now) const {
  if (calls_.empty()) return absl::InfiniteDuration();
  return std::max(since_ + kGatherFor - now, absl::ZeroDuration());
}

}  // namespace werkplek
