#include "broker/election/etcd_election.h"

#include <algorithm>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/election/leader_lease.h"
#include "broker/election/leader_view.h"
#include "broker/etcd/leadership.h"
#include "common/base/log.h"
#include "common/base/mutex.h"

namespace werkplek {
namespace {

constexpr absl::Duration kLongestPause = absl::Seconds(5);
constexpr absl::Duration kGoodbye = absl::Seconds(1);

etcd::LeaderRecord RecordOf(const LeaderInfo& own) {
  etcd::LeaderRecord record;
  record.set_name(own.name);
  record.set_client_address(own.client_address);
  record.set_agent_address(own.agent_address);
  return record;
}

LeaderInfo InfoOf(const etcd::LeaderRecord& record) {
  return {record.epoch(), record.name(), record.client_address(), record.agent_address()};
}

}  // namespace

// Shared with timers, answers and news that are under way. Everything but Start, Stop and the
// callbacks runs on `timers_`, and drops what belongs to an earlier round.
class EtcdElection::Campaign : public std::enable_shared_from_this<Campaign> {
 public:
  Campaign(EtcdElectionSettings settings, EtcdClient* client, Executor* timers, Executor* callbacks,
           ElectionObserver observe)
      : settings_(std::move(settings)),
        client_(client),
        keys_(client->settings().prefix),
        timers_(timers),
        callbacks_(callbacks),
        observe_(std::move(observe)),
        view_(callbacks) {}

  void Start(absl::AnyInvocable<void(uint64_t)> elected, absl::AnyInvocable<void()> lost) {
    {
      MutexLock lock(callback_mutex_);
      elected_ = std::move(elected);
      lost_ = std::move(lost);
    }
    {
      MutexLock lock(mutex_);
      stopped_ = false;
      ++round_;
    }
    After(absl::ZeroDuration(), [](Campaign& self) { self.Look(); });
  }

  void StepDown() {
    timers_->Post([self = shared_from_this()] {
      bool leads = false;
      {
        MutexLock lock(self->mutex_);
        leads = !self->stopped_ && self->lease_ != nullptr;
      }
      if (leads) self->Lose("the store asked for it");
    });
  }

  void Stop() {
    view_.Stop();
    {
      // From here on no callback begins, and none runs.
      MutexLock lock(callback_mutex_);
      elected_ = nullptr;
      lost_ = nullptr;
    }
    int64_t lease = 0;
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
      ++round_;
      lease_.reset();
      std::swap(lease, lease_id_);
    }
    view_.Set({});
    if (lease == 0) return;
    auto gone = std::make_shared<std::promise<void>>();
    client_->RevokeLease(lease, kGoodbye, [gone](const auto&) { gone->set_value(); });
    gone->get_future().wait_for(std::chrono::milliseconds(ToInt64Milliseconds(kGoodbye)));
  }

  void LeaderSeen(uint64_t epoch, LeaderSign sign) {
    timers_->Post([weak = weak_from_this(), epoch, sign] {
      if (const auto self = weak.lock(); self != nullptr) self->Seen(epoch, sign);
    });
  }

  LeaderView& view() { return view_; }

 private:
  // Runs `task` on the timers' loop after `delay`, unless another round has begun by then.
  template <typename Task>
  void After(absl::Duration delay, Task task) {
    timers_->PostAfter(delay, [weak = weak_from_this(), round = round(), task = std::move(task)] {
      const std::shared_ptr<Campaign> self = weak.lock();
      if (self != nullptr && self->round() == round) task(*self);
    });
  }
  // The same for an answer of etcd, which comes on another thread.
  template <typename Answer, typename Task>
  absl::AnyInvocable<void(Answer)> OnAnswer(Task task) {
    return [weak = weak_from_this(), timers = timers_, round = round(),
            task = std::move(task)](Answer answer) {
      timers->Post([weak, round, task, answer = std::move(answer)] {
        const std::shared_ptr<Campaign> self = weak.lock();
        if (self != nullptr && self->round() == round) task(*self, answer);
      });
    };
  }

  uint64_t round() {
    MutexLock lock(mutex_);
    return round_;
  }
  void Observe(absl::string_view what) const {
    if (observe_) observe_(what);
  }
  // Between half and all of it, so that brokers do not try in step.
  absl::Duration Jittered(absl::Duration delay) {
    const std::string byte = timers_->RandomBytes(1);
    return delay * (0.5 + static_cast<unsigned char>(byte[0]) / 512.0);
  }

  // --- following ---
  void Look() {
    FindLeader(client_, keys_, settings_.lease_ttl,
               OnAnswer<absl::StatusOr<EtcdLeader>>(
                   [](Campaign& self, const auto& leader) { self.Looked(leader); }));
  }

  void Looked(const absl::StatusOr<EtcdLeader>& leader) {
    if (leader.ok()) {
      pause_ = settings_.poll;
      Follow(*leader);
    } else if (absl::IsNotFound(leader.status())) {
      RunForLead();
    } else {
      Observe("poll-failed");
      view_.Set({});
      TryLater(leader.status());
    }
  }

  void Follow(const EtcdLeader& leader) {
    followed_ = leader;
    if (leader.lease != 0 && IsOwn(leader.record))
      return TakeOver("it is this broker's own, of an earlier lead");
    view_.Set(InfoOf(leader.record));
    After(Jittered(settings_.poll), [](Campaign& self) { self.Look(); });
  }

  bool IsOwn(const etcd::LeaderRecord& leader) const {
    LeaderInfo own = settings_.own;
    own.epoch = leader.epoch();
    return !own.name.empty() && InfoOf(leader) == own;
  }

  void Seen(uint64_t epoch, LeaderSign sign) {
    if (followed_.lease == 0 || followed_.record.epoch() != epoch) return;
    if (sign == LeaderSign::kGone) return TakeOver("nobody listens at its address any more");
    const int64_t lease = followed_.lease;
    client_->LeaseTimeToLive(
        lease, settings_.lease_ttl,
        OnAnswer<absl::StatusOr<etcdserverpb::LeaseTimeToLiveResponse>>(
            [lease](Campaign& self, const auto& left) {
              if (!left.ok() || self.followed_.lease != lease) return;
              // Rounded down: there may be a second more. It is renewed five times in its time.
              if (2 * (left->ttl() + 1) > left->granted_ttl()) return;
              self.TakeOver("it answers no greeting, and has not renewed its lease");
            }));
  }

  // Ends the lease of the leader that is followed, then runs for the lead. Safe whatever is true of
  // that leader: its epoch will be an old one.
  void TakeOver(absl::string_view why) {
    const EtcdLeader from = std::exchange(followed_, {});
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      // The look that waits is not needed any more.
      ++round_;
    }
    Observe("taken-over");
    Log(Severity::kWarning, "lead-taken-over",
        {{"from", from.record.name()},
         {"epoch", absl::StrCat(from.record.epoch())},
         {"why", std::string(why)}});
    client_->RevokeLease(from.lease, settings_.lease_ttl,
                         OnAnswer<absl::StatusOr<etcdserverpb::LeaseRevokeResponse>>(
                             [](Campaign& self, const auto& revoked) {
                               if (!revoked.ok()) return self.TryLater(revoked.status());
                               self.RunForLead();
                             }));
  }

  void TryLater(const absl::Status& why) {
    Log(Severity::kWarning, "election-waits",
        {{"error", std::string(why.message())}, {"again_in", absl::FormatDuration(pause_)}});
    After(Jittered(pause_), [](Campaign& self) { self.Look(); });
    pause_ = std::min(pause_ * 2, std::min(settings_.lease_ttl, kLongestPause));
  }

  // --- claiming ---
  void RunForLead() {
    followed_ = {};
    const absl::Duration began = timers_->Monotonic();
    const int64_t seconds = absl::ToInt64Seconds(settings_.lease_ttl);
    client_->GrantLease(seconds, settings_.lease_ttl,
                        OnAnswer<absl::StatusOr<etcdserverpb::LeaseGrantResponse>>(
                            [began](Campaign& self, const auto& granted) {
                              if (!granted.ok()) return self.TryLater(granted.status());
                              self.Claim(granted->id(), began);
                            }));
  }

  void Claim(int64_t lease, absl::Duration began) {
    ClaimLead(
        client_, keys_, RecordOf(settings_.own), lease, settings_.lease_ttl,
        OnAnswer<absl::StatusOr<EtcdClaim>>([lease, began](Campaign& self, const auto& claim) {
          self.Claimed(lease, began, claim);
        }));
  }

  void Claimed(int64_t lease, absl::Duration began, const absl::StatusOr<EtcdClaim>& claim) {
    if (claim.ok() && claim->won) {
      LeaderLease held(settings_.lease_ttl, began);
      if (!held.Over(timers_->Monotonic())) return Lead(lease, held, *claim);
    }
    // A claim that may have been made goes with its lease.
    client_->RevokeLease(lease, settings_.lease_ttl, [](const auto&) {});
    if (!claim.ok()) {
      Observe("claim-failed");
      return TryLater(claim.status());
    }
    if (!claim->won) return Follow(claim->leader);
    TryLater(absl::DeadlineExceededError("the lease ended before the claim was answered"));
  }

  // --- leading ---
  void Lead(int64_t lease, LeaderLease held, const EtcdClaim& claim) {
    {
      MutexLock lock(mutex_);
      if (stopped_) return;
      lease_ = std::make_unique<LeaderLease>(held);
      lease_id_ = lease;
    }
    claim_ = claim;
    pause_ = settings_.poll;
    Observe("claimed");
    LeaderInfo leader = settings_.own;
    leader.epoch = claim.epoch;
    view_.Set(std::move(leader));
    callbacks_->Post([self = shared_from_this(), epoch = claim.epoch] {
      MutexLock lock(self->callback_mutex_);
      if (self->elected_) self->elected_(epoch);
    });
    WatchTheClock();
    RenewAfter(/*succeeded=*/true);
  }

  absl::Duration Ends() {
    MutexLock lock(mutex_);
    return lease_ == nullptr ? -absl::InfiniteDuration() : lease_->ends();
  }

  void WatchTheClock() {
    const absl::Duration rest = Ends() - timers_->Monotonic();
    if (rest <= absl::ZeroDuration()) return Lose("its lease was not renewed in time");
    After(rest, [](Campaign& self) { self.WatchTheClock(); });
  }

  void RenewAfter(bool succeeded) {
    const absl::Duration now = timers_->Monotonic();
    absl::Duration next = now;
    {
      MutexLock lock(mutex_);
      if (lease_ == nullptr) return;
      next = lease_->NextRenewal(now, succeeded);
    }
    After(next - now, [](Campaign& self) { self.Renew(); });
  }

  // A renewal is two things: the lease lives on, and the claim still stands. The second goes
  // through etcd's log, since 3.4 may renew a lease that it has revoked.
  void Renew() {
    const absl::Duration began = timers_->Monotonic();
    const absl::Duration limit = Ends() - began;
    int64_t lease = 0;
    {
      MutexLock lock(mutex_);
      lease = lease_id_;
    }
    client_->KeepLease(lease, limit,
                       OnAnswer<absl::StatusOr<etcdserverpb::LeaseKeepAliveResponse>>(
                           [began](Campaign& self, const auto& kept) {
                             if (!kept.ok()) return self.Renewed(began, kept.status());
                             self.Prove(began);
                           }));
  }

  void Prove(absl::Duration began) {
    ProveLead(client_, keys_, claim_, Ends() - timers_->Monotonic(),
              OnAnswer<absl::Status>([began](Campaign& self, const absl::Status& proved) {
                self.Renewed(began, proved);
              }));
  }

  void Renewed(absl::Duration began, const absl::Status& status) {
    if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status)) {
      return Lose("etcd no longer knows its claim");
    }
    if (status.ok()) {
      {
        MutexLock lock(mutex_);
        if (lease_ == nullptr) return;
        lease_->Renewed(began);
      }
      Observe("renewed");
    } else {
      Observe("renewal-failed");
      Log(Severity::kWarning, "lease-renewal-failed",
          {{"error", std::string(status.message())},
           {"steps_down_in", absl::FormatDuration(Ends() - timers_->Monotonic())}});
    }
    // An answer may be so late that the clock has run out in the meantime.
    if (Ends() <= timers_->Monotonic()) return Lose("its lease was not renewed in time");
    RenewAfter(status.ok());
  }

  void Lose(absl::string_view why) {
    int64_t lease = 0;
    {
      MutexLock lock(mutex_);
      if (stopped_ || lease_ == nullptr) return;
      lease_.reset();
      std::swap(lease, lease_id_);
      ++round_;
    }
    Observe("lost");
    Log(Severity::kWarning, "lead-given-up",
        {{"epoch", absl::StrCat(claim_.epoch)}, {"why", std::string(why)}});
    view_.Set({});
    callbacks_->Post([self = shared_from_this()] {
      MutexLock lock(self->callback_mutex_);
      if (self->lost_) self->lost_();
    });
    client_->RevokeLease(lease, settings_.lease_ttl, [](const auto&) {});
    After(Jittered(settings_.poll), [](Campaign& self) { self.Look(); });
  }

  const EtcdElectionSettings settings_;
  EtcdClient* const client_;
  const EtcdKeys keys_;
  Executor* const timers_;
  Executor* const callbacks_;
  const ElectionObserver observe_;
  LeaderView view_;

  // Of the timers' loop alone.
  absl::Duration pause_ = absl::Milliseconds(100);
  EtcdClaim claim_;
  // While this broker follows; without a lease: nobody.
  EtcdLeader followed_;

  Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t round_ ABSL_GUARDED_BY(mutex_) = 0;
  // While this broker leads.
  std::unique_ptr<LeaderLease> lease_ ABSL_GUARDED_BY(mutex_);
  int64_t lease_id_ ABSL_GUARDED_BY(mutex_) = 0;

  Mutex callback_mutex_;  // Held while a callback runs.
  absl::AnyInvocable<void(uint64_t)> elected_ ABSL_GUARDED_BY(callback_mutex_);
  absl::AnyInvocable<void()> lost_ ABSL_GUARDED_BY(callback_mutex_);
};

EtcdElection::EtcdElection(EtcdElectionSettings settings, EtcdClient* client, Executor* timers,
                           Executor* callbacks, ElectionObserver observe)
    : campaign_(std::make_shared<Campaign>(std::move(settings), client, timers, callbacks,
                                           std::move(observe))) {}

EtcdElection::~EtcdElection() { Stop(); }

void EtcdElection::Start(absl::AnyInvocable<void(uint64_t epoch)> elected,
                         absl::AnyInvocable<void()> lost) {
  campaign_->Start(std::move(elected), std::move(lost));
}

void EtcdElection::StepDown() { campaign_->StepDown(); }

void EtcdElection::LeaderSeen(uint64_t epoch, LeaderSign sign) {
  campaign_->LeaderSeen(epoch, sign);
}

void EtcdElection::Stop() { campaign_->Stop(); }

LeaderInfo EtcdElection::leader() const { return campaign_->view().Get(); }

void EtcdElection::WatchLeader(absl::AnyInvocable<void(const LeaderInfo&)> changed) {
  campaign_->view().Watch(std::move(changed));
}

}  // namespace werkplek
