// The election of a broker that has no peers: it always leads, under an epoch that it claims from
// its store, so that what an earlier run (or a copy that still runs) has sent is known as old.
#pragma once

#include <functional>
#include <memory>

#include "broker/election/leader_view.h"
#include "broker/node/ports.h"

namespace werkplek {

class StandaloneElection : public Election {
 public:
  // Makes the next epoch durable and gives it; on the executor. SqliteStore::ClaimEpoch does.
  using Claim = std::function<void(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done)>;

  // `executor` outlives the election; callbacks run on it. `own` is what leader() tells while this
  // broker leads; its epoch is filled in.
  StandaloneElection(Executor* executor, Claim claim, LeaderInfo own = {});
  ~StandaloneElection() override;

  // A claim that fails is tried again after a growing delay (0.1 s to 5 s).
  void Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
             absl::AnyInvocable<void()> lost) override;
  void StepDown() override;
  // Waits for a callback that runs; not from a callback.
  void Stop() override;
  LeaderInfo leader() const override;
  void WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) override;
  // There is no other.
  void LeaderSeen(uint64_t, LeaderSign) override {}

 private:
  class Campaign;
  std::shared_ptr<Campaign> campaign_;
};

}  // namespace werkplek
