// The election of brokers that share an etcd cluster: who puts the leader's key under its own lease
// leads, until it steps down by its own clock.
//
// Nothing is decided from a read: followers look at the leader's key only to know when to try, and
// the trying itself is one guarded transaction. A leader that is surely gone is not waited for: its
// lease is revoked (docs/adr/0085-leaders-that-are-gone.md). etcd's lease only spaces the leaders;
// what keeps an old leader from writing is its epoch, which each commit's transaction compares.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/etcd/etcd_client.h"
#include "broker/node/ports.h"

namespace werkplek {

struct EtcdElectionSettings {
  // What others are told of this broker while it leads; the epoch is filled in.
  LeaderInfo own;
  // Whole seconds, 2 at least. After this long without a renewal a leader steps down.
  absl::Duration lease_ttl = absl::Seconds(5);
  // How often a follower looks whether there is a leader.
  absl::Duration poll = absl::Milliseconds(500);
};

// What happened, for metrics: "claimed", "claim-failed", "renewed", "renewal-failed", "lost",
// "poll-failed", "taken-over".
using ElectionObserver = std::function<void(absl::string_view what)>;

class EtcdElection : public Election {
 public:
  // `timers` gives the clock and runs the renewals: a loop of its own, so that a busy broker does
  // not lose its lease. Callbacks run on `callbacks`. All outlive the election; `timers` must run
  // or be stopped when the election goes.
  EtcdElection(EtcdElectionSettings settings, EtcdClient* client, Executor* timers,
               Executor* callbacks, ElectionObserver observe = nullptr);
  ~EtcdElection() override;

  void Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
             absl::AnyInvocable<void()> lost) override;
  void StepDown() override;
  // Gives the lead back to etcd (waiting a second at most), so that another can take it at once.
  // Not from a callback.
  void Stop() override;
  LeaderInfo leader() const override;
  void WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) override;
  // A leader that has gone loses its lease at once; one that is silent does when etcd, too, has not
  // heard it for half its time to live.
  void LeaderSeen(uint64_t epoch, LeaderSign sign) override;

 private:
  class Campaign;
  std::shared_ptr<Campaign> campaign_;
};

}  // namespace werkplek
