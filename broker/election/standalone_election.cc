#include "broker/election/standalone_election.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"

namespace werkplek {
namespace {

constexpr absl::Duration kFirstDelay = absl::Milliseconds(100);
constexpr absl::Duration kLongestDelay = absl::Seconds(5);

}  // namespace

// Shared with the tasks that wait on the executor, which may outlive the election.
class StandaloneElection::Campaign : public std::enable_shared_from_this<Campaign> {
 public:
  Campaign(Executor* executor, Claim claim, LeaderInfo own)
      : executor_(executor), claim_(std::move(claim)), own_(std::move(own)), view_(executor) {}

  void Start(absl::AnyInvocable<void(uint64_t epoch)> elected, absl::AnyInvocable<void()> lost) {
    {
      MutexLock lock(mutex_);
      elected_ = std::move(elected);
      lost_ = std::move(lost);
      stopped_ = false;
    }
    executor_->Post([self = shared_from_this()] { self->Try(); });
  }

  void StepDown() {
    executor_->Post([self = shared_from_this()] {
      {
        MutexLock lock(self->mutex_);
        if (self->stopped_ || !self->leads_) return;
        self->leads_ = false;
        self->view_.Set({});
        self->lost_();
      }
      self->Try();
    });
  }

  void Stop() {
    view_.Stop();
    MutexLock lock(mutex_);
    stopped_ = true;
    leads_ = false;
    view_.Set({});
  }

  LeaderView& view() { return view_; }

 private:
  void Try() {
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
    }
    claim_([self = shared_from_this()](absl::StatusOr<uint64_t> epoch) { self->Claimed(epoch); });
  }

  void Claimed(const absl::StatusOr<uint64_t>& epoch) {
    MutexLock lock(mutex_);
    if (stopped_) return;
    if (epoch.ok()) {
      delay_ = kFirstDelay;
      leads_ = true;
      LeaderInfo leader = own_;
      leader.epoch = *epoch;
      view_.Set(std::move(leader));
      elected_(*epoch);
      return;
    }
    Log(Severity::kError, "epoch-claim-failed",
        {{"error", std::string(epoch.status().message())},
         {"again_in", absl::FormatDuration(delay_)}});
    executor_->PostAfter(delay_, [self = shared_from_this()] { self->Try(); });
    delay_ = std::min(delay_ * 2, kLongestDelay);
  }

  Executor* const executor_;
  const Claim claim_;
  const LeaderInfo own_;
  LeaderView view_;
  Mutex mutex_;  // Held while a callback runs.
  bool stopped_ ABSL_GUARDED_BY(mutex_) = true;
  bool leads_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration delay_ ABSL_GUARDED_BY(mutex_) = kFirstDelay;
  absl::AnyInvocable<void(uint64_t)> elected_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void()> lost_ ABSL_GUARDED_BY(mutex_);
};

StandaloneElection::StandaloneElection(Executor* executor, Claim claim, LeaderInfo own)
    : campaign_(std::make_shared<Campaign>(executor, std::move(claim), std::move(own))) {}

StandaloneElection::~StandaloneElection() { Stop(); }

void StandaloneElection::Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
                               absl::AnyInvocable<void()> lost) {
  campaign_->Start(std::move(elected), std::move(lost));
}

void StandaloneElection::StepDown() { campaign_->StepDown(); }

void StandaloneElection::Stop() { campaign_->Stop(); }

LeaderInfo StandaloneElection::leader() const { return campaign_->view().Get(); }

void StandaloneElection::WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) {
  campaign_->view().Watch(std::move(changed));
}

}  // namespace werkplek
