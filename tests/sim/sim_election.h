// A broker's side of the lease: campaigns over the network, renews, and steps down by its own clock
// as the real one does (LeaderLease). News may come late.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "broker/election/leader_lease.h"
#include "broker/election/leader_view.h"
#include "broker/node/ports.h"
#include "tests/sim/process_executor.h"

namespace werkplek::sim {

class World;

class SimElection : public Election {
 public:
  // All outlive the election. `ended` is called whenever this broker ceases to lead.
  SimElection(World& world, std::string broker, ProcessExecutor* executor,
              std::function<void()> ended);
  ~SimElection() override { SimElection::Stop(); }

  void Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
             absl::AnyInvocable<void()> lost) override;
  void StepDown() override;
  void Stop() override;
  LeaderInfo leader() const override { return view_.Get(); }
  void WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) override {
    view_.Watch(std::move(changed));
  }
  void LeaderSeen(uint64_t epoch, LeaderSign sign) override;

  // How late this broker hears what became of it.
  void SetNewsDelay(absl::Duration delay) { news_delay_ = delay; }
  bool leads() const { return leads_; }

 private:
  void Campaign();
  void Claimed(const LeaderInfo& leader, absl::Duration asked);
  void Renew();
  void Renewed(bool held, absl::Duration asked);
  void CheckDeadline();
  void Lose(const char* why);
  void Tell(Executor::Task news);
  // Runs at the store, and its answer here, as far as the network lets them.
  template <typename Answer>
  void Ask(std::function<void(std::function<void(Answer)> reply)> there,
           std::function<void(Answer)> here);
  void After(absl::Duration delay, std::function<void()> task);

  World& world_;
  const std::string broker_;
  ProcessExecutor* const executor_;
  const std::function<void()> ended_;
  absl::AnyInvocable<void(uint64_t)> elected_;
  absl::AnyInvocable<void()> lost_;
  bool running_ = false;
  bool leads_ = false;
  uint64_t epoch_ = 0;
  std::optional<LeaderLease> lease_;
  LeaderView view_;
  absl::Duration news_delay_;
  absl::Duration last_news_;
  // Tasks hold it weakly, so that the election may go while they wait.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace werkplek::sim
