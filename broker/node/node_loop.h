// The node's inside: the order of events, commits and effects. Only BrokerNode uses it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "broker/node/broker_node.h"
#include "broker/node/call_table.h"
#include "broker/node/network.h"
#include "broker/node/recheck_round.h"
#include "broker/node/sign_in_flow.h"
#include "broker/node/steady_time.h"
#include "common/base/mutex.h"
#include "common/base/rare_log.h"

namespace werkplek {

// Two locks. `busy_` is held by whatever runs as the loop: one at a time, also when Stop comes from
// another thread. `mutex_` guards what any thread may touch, and is never held over a callback.
// `busy_` comes before `mutex_`.
class NodeLoop : public std::enable_shared_from_this<NodeLoop> {
 public:
  NodeLoop(NodeSettings settings, NodeParts parts);

  void Start();
  void Stop();

  // From any thread.
  Picture picture() const;
  void SignIn(const Caller& caller, const v1::SignInRequest& request, ReplyCallback done);
  absl::Status TryPassword(const Caller& caller, const std::string& user);
  void SubmitSignIn(SignInChecked checked, ReplyCallback done);
  void Call(const Caller& caller, MessagePointer request, ReplyCallback done);
  CallId Connect(const Caller& caller, const v1::ConnectRequest& request, ConnectCallback update);
  void RecordCertificate(CertificateIssued issued, ReplyCallback done);
  void Cancel(CallId call);
  void SignInUsed(const std::string& token_sha256);
  void ReadAudit(uint64_t after, uint32_t limit, CallTable::AuditCallback done);
  uint64_t Watch(WatchCallback callback);
  void Unwatch(uint64_t id);
  uint64_t AgentAttached(const std::string& host);
  void AgentReported(const std::string& host, uint64_t link, v1::AgentReport report);
  void AgentDetached(const std::string& host, uint64_t link);

 private:
  enum class Phase {
    kFollowing,
    kLoading,
    // Leads, but what it decided could not be written, or not in time: what is durable is loaded
    // again. The picture stays, and hosts are answered.
    kReloading,
    kLeading,
  };

  // A host's stream.
  struct AgentLink {
    uint64_t number = 0;
    // The newest, unless HearHosts has answered it.
    std::shared_ptr<const v1::AgentReport> report;
  };

  // Holds busy_ and remembers who does.
  class ABSL_SCOPED_LOCKABLE BusyLock {
   public:
    explicit BusyLock(const NodeLoop& loop) ABSL_EXCLUSIVE_LOCK_FUNCTION(loop.busy_);
    ~BusyLock() ABSL_UNLOCK_FUNCTION();

   private:
    const NodeLoop& loop_;
  };

  // Runs `task` as the loop, with what it is called with, unless the node has gone or stopped.
  template <typename Task>
  auto AsLoop(Task task) {
    return [weak = weak_from_this(), task = std::move(task)](auto&&... arguments) mutable {
      const std::shared_ptr<NodeLoop> self = weak.lock();
      if (self == nullptr) return;
      BusyLock lock(*self);
      if (!self->stopped()) task(std::forward<decltype(arguments)>(arguments)...);
    };
  }
  // For tasks that AsLoop runs: says to the analysis what AsLoop has done.
  void AssertBusy() const ABSL_ASSERT_EXCLUSIVE_LOCK(busy_) {}
  bool OnBusyThread() const;
  bool stopped() const;

  // --- leadership (node_loop.cc) ---
  void Elected(uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Lost() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Loaded(absl::StatusOr<Fleet> fleet) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  // Drops the broker and all that waits for it; what was not committed never was.
  void Drop(Phase phase) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void LoadAfterDelay() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);

  // --- order (node_loop.cc) ---
  void ArmTick();
  // Whether the loop has not run for so long that the hosts' silence may be its own.
  bool StoodStill() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void TakeLeadAnew(const char* why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Turn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void TurnAfter(absl::Duration rest);
  void Committed(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Publish(bool reloaded) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void RunEffects() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void RunEffect(const Effect& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void SwitchOff(const FenceHost& fence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Observe(const Effect& effect) const;
  void TellWatches(const Picture& picture, bool reloaded) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void WakeIfWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  // How long what waits may wait for company, so that more share the next commit. Zero: not at all.
  absl::Duration GatherFor() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_, mutex_);

  // --- a store that fails or hangs (store_trouble.cc) ---
  void CommitFailed(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  // A commit that hangs is left: calls fail, agents are answered, and its end is waited for.
  bool CommitHangs() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void LeaveHungCommit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void HungCommitEnded(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  // Meanwhile: answers what hosts reported, as far as that tells agents nothing new.
  void HearHosts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);

  // Queues an event for the loop. UNAVAILABLE: this broker does not lead (now). RESOURCE_EXHAUSTED:
  // too many wait; agents' events are never refused for that.
  absl::Status Enqueue(decltype(Event::what) what);
  absl::Status EnqueueLocked(decltype(Event::what) what) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EnqueueCall(CallRequested requested);
  // Answers on the loop, or here when there is no loop any more.
  void FailSoon(CallId call, const absl::Status& why);

  // Counts one more sign-in with the directory, or says why not.
  absl::Status AdmitSignIn(const SignInAttempt& attempt);
  // As BrokerNode::TryPassword, of this broker's own sign-ins too: OK counts a try as under way.
  absl::Status BeginTry(const Caller& caller, const std::string& user)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What came of a password that BeginTry let in. True: with it the name is paused.
  bool PasswordTried(const Caller& caller, const std::string& user, const TryOutcome& outcome);
  // UNAVAILABLE: the clock is wrong.
  absl::Status MayJudgeCodes() const;

  // --- calls that ask the directory first (node_calls.cc) ---
  void AskDirectory(SignInAttempt attempt, Secret password);
  void JudgeAndEnqueue(const SignInAttempt& attempt, DirectoryAnswer answer);
  // The sign-in is with the directory or the leader no longer.
  void SignInOver();
  void CallAboutToken(const Caller& caller, MessagePointer request, ReplyCallback done);
  void EnrolFound(CallRequested requested, const absl::StatusOr<DirectoryPerson>& person,
                  const std::shared_ptr<std::string>& user);
  void ConfirmFound(CallRequested requested, const absl::StatusOr<DirectoryPerson>& person,
                    absl::Time came);
  absl::StatusOr<MessagePointer> WithOtpauthUri(const std::string& user) const;
  // Asks again about those whose turn it is; what is new goes to the core.
  void RecheckPeople() ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);
  void Rechecked(const std::string& user, absl::StatusOr<DirectoryPerson> person)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(busy_);

  // --- sign-ins without the lead (remote_sign_in.cc) ---
  bool Follows() const;
  // Asks the leader; `done` comes as the loop, when the call still waits and the leader has
  // answered. Otherwise the call fails.
  void FindEnrolment(const SignInAttempt& attempt, const std::string& user, bool tries_password,
                     EnrolmentCallback done);
  void AskLeaderFirst(SignInAttempt attempt, Secret password);
  void JudgeAndSubmit(SignInAttempt attempt, DirectoryAnswer answer);
  void Submit(const SignInAttempt& attempt, DirectoryAnswer answer);

  const NodeSettings settings_;
  const NodeParts parts_;
  std::vector<Network> waived_;
  CallTable calls_;

  mutable Mutex busy_;
  std::unique_ptr<Broker> broker_ ABSL_GUARDED_BY(busy_);
  SteadyTime time_ ABSL_GUARDED_BY(busy_);
  // When the tick last came, by the clock that never jumps.
  absl::Duration ticked_ ABSL_GUARDED_BY(busy_);
  uint64_t epoch_ ABSL_GUARDED_BY(busy_) = 0;
  // The newest under which this broker has led.
  uint64_t led_epoch_ ABSL_GUARDED_BY(busy_) = 0;
  // Changes whenever the broker does; answers that the store gives to an earlier one are dropped.
  uint64_t term_ ABSL_GUARDED_BY(busy_) = 0;
  bool committing_ ABSL_GUARDED_BY(busy_) = false;
  absl::Duration commit_began_ ABSL_GUARDED_BY(busy_) = -absl::InfiniteDuration();
  // The term of the commit that was left.
  std::optional<uint64_t> hung_term_ ABSL_GUARDED_BY(busy_);
  // A turn is posted for the end of the gathering.
  bool gathers_ ABSL_GUARDED_BY(busy_) = false;
  std::vector<Effect> effects_ ABSL_GUARDED_BY(busy_);
  std::shared_ptr<const ChangeSet> changes_ ABSL_GUARDED_BY(busy_);
  uint64_t revision_ ABSL_GUARDED_BY(busy_) = 0;
  absl::Duration load_delay_ ABSL_GUARDED_BY(busy_);
  RecheckRound rechecks_ ABSL_GUARDED_BY(busy_);
  RareLog doubts_log_ ABSL_GUARDED_BY(busy_);

  mutable Mutex mutex_ ABSL_ACQUIRED_AFTER(busy_);
  mutable std::thread::id busy_thread_ ABSL_GUARDED_BY(mutex_);
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kFollowing;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Event> waiting_ ABSL_GUARDED_BY(mutex_);
  // Those of them that nobody lets wait for others to share a commit with.
  size_t others_waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  // The report of each link that waits; a newer one takes its place.
  std::map<uint64_t, werkplek::AgentReported*> waiting_reports_ ABSL_GUARDED_BY(mutex_);
  bool tick_waits_ ABSL_GUARDED_BY(mutex_) = false;
  size_t sign_ins_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  PasswordTries passwords_ ABSL_GUARDED_BY(mutex_);
  RareLog pauses_log_ ABSL_GUARDED_BY(mutex_);
  Picture picture_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_link_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t next_watch_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<uint64_t, std::shared_ptr<WatchCallback>> watches_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, AgentLink> links_ ABSL_GUARDED_BY(mutex_);
  // When each token's use was last told, so that it is told at most once a minute.
  std::map<std::string, absl::Duration> used_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
