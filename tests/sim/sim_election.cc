#include "tests/sim/sim_election.h"

#include <algorithm>
#include <utility>

#include "tests/sim/world.h"

namespace werkplek::sim {
SimElection::SimElection(World& world, std::string broker, ProcessExecutor* executor,
                         std::function<void()> ended)
    : world_(world),
      broker_(std::move(broker)),
      executor_(executor),
      ended_(std::move(ended)),
      view_(executor) {}

void SimElection::After(absl::Duration delay, std::function<void()> task) {
  executor_->PostAfter(delay, [this, weak = std::weak_ptr<bool>(alive_), task = std::move(task)] {
    if (!weak.expired() && running_) task();
  });
}

template <typename Answer>
void SimElection::Ask(std::function<void(std::function<void(Answer)> reply)> there,
                      std::function<void(Answer)> here) {
  if (!world_.network().Open(broker_, kStoreNode)) return;
  // What is sent arrives although the sender dies meanwhile.
  world_.After(world_.Hop(),
               [this, &world = world_, broker = broker_, weak = std::weak_ptr<bool>(alive_),
                there = std::move(there), here = std::move(here)] {
                 there([this, &world, broker, weak, here](Answer answer) {
                   if (weak.expired() || !world.network().Open(kStoreNode, broker)) return;
                   After(world.Hop(), [here, answer] { here(answer); });
                 });
               });
}

void SimElection::Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
                        absl::AnyInvocable<void()> lost) {
  elected_ = std::move(elected);
  lost_ = std::move(lost);
  running_ = true;
  Campaign();
}

void SimElection::Stop() {
  view_.Stop();
  running_ = false;
  leads_ = false;
}

void SimElection::Campaign() {
  After(world_.chance().Between(absl::Milliseconds(200), absl::Milliseconds(800)), [this] {
    if (!leads_) Campaign();
  });
  const absl::Duration asked = executor_->Monotonic();
  Ask<LeaderInfo>(
      [&world = world_, broker = broker_](std::function<void(LeaderInfo)> reply) {
        world.lease().Claim(broker, std::move(reply));
      },
      [this, asked](const LeaderInfo& leader) { Claimed(leader, asked); });
}

void SimElection::Claimed(const LeaderInfo& leader, absl::Duration asked) {
  if (leads_) return;
  const LeaderLease lease(LeaseService::kTimeToLive, asked);
  const bool own = leader.name == broker_;
  if (!own) view_.Set(leader);
  if (!own || leader.epoch <= epoch_ || lease.Over(executor_->Monotonic())) return;
  leads_ = true;
  epoch_ = leader.epoch;
  lease_.emplace(lease);
  view_.Set(leader);
  Tell([this, epoch = epoch_] { elected_(epoch); });
  CheckDeadline();
  Renew();
}

void SimElection::Renew() {
  const absl::Duration asked = executor_->Monotonic();
  After(lease_->NextRenewal(asked, /*succeeded=*/true) - asked, [this, epoch = epoch_] {
    if (leads_ && epoch == epoch_) Renew();
  });
  Ask<bool>(
      [&world = world_, broker = broker_, epoch = epoch_](const std::function<void(bool)>& reply) {
        reply(world.lease().Renew(broker, epoch));
      },
      [this, asked, epoch = epoch_](bool held) {
        if (leads_ && epoch == epoch_) Renewed(held, asked);
      });
}

void SimElection::Renewed(bool held, absl::Duration asked) {
  if (!held) return Lose("the lease is gone");
  lease_->Renewed(asked);
}

void SimElection::CheckDeadline() {
  const absl::Duration now = executor_->Monotonic();
  if (lease_->Over(now)) return Lose("its own clock says so");
  After(lease_->ends() - now, [this, epoch = epoch_] {
    if (leads_ && epoch == epoch_) CheckDeadline();
  });
}

void SimElection::StepDown() {
  if (!leads_) return;
  Ask<bool>([&world = world_, broker = broker_, epoch = epoch_](
                const std::function<void(bool)>&) { world.lease().Revoke(broker, epoch); },
            [](bool) {});
  Lose("it steps down");
}

// As EtcdElection does.
void SimElection::LeaderSeen(uint64_t epoch, LeaderSign sign) {
  const LeaderInfo seen = view_.Get();
  if (!running_ || leads_ || seen.name == broker_ || seen.epoch != epoch) return;
  const absl::Duration asked = executor_->Monotonic();
  Ask<LeaderInfo>(
      [&world = world_, broker = broker_, seen, sign](std::function<void(LeaderInfo)> reply) {
        LeaseService& lease = world.lease();
        if (sign == LeaderSign::kSilent && lease.Left() > LeaseService::kTimeToLive / 2) return;
        lease.Revoke(seen.name, seen.epoch);
        lease.Claim(broker, std::move(reply));
      },
      [this, asked](const LeaderInfo& leader) { Claimed(leader, asked); });
}

void SimElection::Lose(const char* why) {
  leads_ = false;
  view_.Set({});
  world_.Say(broker_, " leads no longer: ", why);
  Tell([this] { lost_(); });
  After(news_delay_, ended_);
  Campaign();
}

void SimElection::Tell(Executor::Task news) {
  // Late, but in order.
  const absl::Duration now = executor_->Monotonic();
  last_news_ = std::max(last_news_, now + news_delay_);
  executor_->PostAfter(last_news_ - now, [this, weak = std::weak_ptr<bool>(alive_),
                                          news = std::move(news)]() mutable {
    if (!weak.expired() && running_) news();
  });
}

}  // namespace werkplek::sim
