#include "tests/sim/lease_service.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace werkplek::sim {

absl::Duration LeaseService::Life() const {
  if (!outlives_) return kTimeToLive;
  return world_.chance().Between(kTimeToLive, 2 * kTimeToLive);
}

std::string LeaseService::Holder() const { return world_.now() < expires_ ? holder_ : ""; }

absl::Duration LeaseService::Left() const {
  return std::max(expires_ - world_.now(), absl::ZeroDuration());
}

void LeaseService::Claim(const std::string& broker, std::function<void(LeaderInfo leader)> done) {
  if (const std::string holder = Holder(); !holder.empty() && holder != broker) {
    return done(LeaderInfo{epoch_, holder, "", ""});
  }
  holder_ = broker;
  expires_ = world_.now() + Life();
  store_->ClaimEpoch([this, broker, done = std::move(done)](absl::StatusOr<uint64_t> epoch) {
    epoch_ = *epoch;
    world_.Say("lease: ", broker, " leads under epoch ", epoch_);
    world_.history().elections.push_back({world_.now(), epoch_, broker});
    done(LeaderInfo{epoch_, broker, "", ""});
  });
}

void LeaseService::Keep(const std::string& broker, std::function<void(uint64_t epoch)> done) {
  Claim(broker, [done = std::move(done)](const LeaderInfo& leader) { done(leader.epoch); });
  expires_ = absl::InfiniteDuration();
}

bool LeaseService::Renew(const std::string& broker, uint64_t epoch) {
  if (Holder() != broker || epoch != epoch_) return false;
  expires_ = world_.now() + Life();
  return true;
}

void LeaseService::Revoke(const std::string& broker, uint64_t epoch) {
  if (Holder() == broker && epoch == epoch_) expires_ = absl::ZeroDuration();
}

void LeaseService::EndEarly() {
  if (expires_ == absl::InfiniteDuration()) return;
  world_.Say("lease: ends early");
  expires_ = absl::ZeroDuration();
}

}  // namespace werkplek::sim
