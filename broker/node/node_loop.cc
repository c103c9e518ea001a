#include "broker/node/node_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/commands.h"
#include "common/base/log.h"
#include "common/base/log_batch.h"

namespace werkplek {
namespace {

constexpr absl::Duration kFirstLoadDelay = absl::Milliseconds(100);
constexpr absl::Duration kLongestLoadDelay = absl::Seconds(5);
constexpr size_t kEntropyBytes = 32;
// Commits of sign-ins alone begin so far apart when more are under way: each costs a sync.
constexpr absl::Duration kSignInGather = absl::Milliseconds(3);

bool WaitsForCompany(const decltype(Event::what)& what) {
  return std::holds_alternative<SignInChecked>(what) || std::holds_alternative<PersonChecked>(what);
}

}  // namespace

absl::Status TryAgain() {
  return absl::UnavailableError("the broker is temporarily unavailable; try again");
}

NodeLoop::BusyLock::BusyLock(const NodeLoop& loop) : loop_(loop) {
  loop_.busy_.Lock();
  MutexLock lock(loop_.mutex_);
  loop_.busy_thread_ = std::this_thread::get_id();
}

NodeLoop::BusyLock::~BusyLock() {
  {
    MutexLock lock(loop_.mutex_);
    loop_.busy_thread_ = std::thread::id();
  }
  loop_.busy_.Unlock();
}

NodeLoop::NodeLoop(NodeSettings settings, NodeParts parts)
    : settings_(std::move(settings)),
      parts_(std::move(parts)),
      time_(parts_.executor->Now(), parts_.executor->Monotonic()),
      ticked_(parts_.executor->Monotonic()),
      rechecks_(settings_.recheck_every),
      passwords_(settings_.passwords) {
  for (const std::string& text : settings_.token_waived_networks) {
    absl::StatusOr<Network> network = Network::Parse(text);
    if (network.ok()) {
      waived_.push_back(*network);
    } else {
      // The token stays required there.
      Log(Severity::kError, "token-waiver-ignored",
          {{"error", std::string(network.status().message())}});
    }
  }
}

bool NodeLoop::OnBusyThread() const {
  MutexLock lock(mutex_);
  return busy_thread_ == std::this_thread::get_id();
}

bool NodeLoop::stopped() const {
  MutexLock lock(mutex_);
  return stopped_;
}

void NodeLoop::Start() {
  parts_.election->Start(AsLoop([this](uint64_t epoch) {
                           AssertBusy();
                           Elected(epoch);
                         }),
                         AsLoop([this] {
                           AssertBusy();
                           Lost();
                         }));
  ArmTick();
}

void NodeLoop::Stop() {
  parts_.election->Stop();
  BusyLock busy(*this);
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    watches_.clear();
  }
  Drop(Phase::kFollowing);
}

void NodeLoop::Elected(uint64_t epoch) {
  Drop(Phase::kLoading);
  epoch_ = epoch;
  if (epoch != led_epoch_ + 1) {
    // Somebody else has led, and counted.
    MutexLock lock(mutex_);
    passwords_.Forget();
  }
  Log(Severity::kInfo, "elected", {{"epoch", absl::StrCat(epoch)}});
  Load();
}

void NodeLoop::Lost() {
  Log(Severity::kWarning, "leadership-lost", {{"epoch", absl::StrCat(epoch_)}});
  Drop(Phase::kFollowing);
}

void NodeLoop::Drop(Phase phase) {
  ++term_;
  committing_ = false;
  hung_term_.reset();
  broker_.reset();
  effects_.clear();
  changes_.reset();
  rechecks_.Forget();
  {
    MutexLock lock(mutex_);
    phase_ = phase;
    waiting_.clear();
    others_waiting_ = 0;
    waiting_reports_.clear();
    tick_waits_ = false;
    if (phase != Phase::kReloading) picture_ = nullptr;
  }
  calls_.FailAll(TryAgain());
}

void NodeLoop::Load() {
  parts_.store->Load(epoch_, AsLoop([this, term = term_](absl::StatusOr<Fleet> fleet) {
                       AssertBusy();
                       if (term == term_) Loaded(std::move(fleet));
                     }));
}

void NodeLoop::LoadAfterDelay() {
  // Until the first load hosts are not answered at all, and their agents wait `fence_after`.
  const absl::Duration longest =
      std::clamp(settings_.broker.fence_after / 4, kFirstLoadDelay, kLongestLoadDelay);
  load_delay_ = std::clamp(load_delay_ * 2, kFirstLoadDelay, longest);
  parts_.executor->PostAfter(load_delay_, AsLoop([this, term = term_] {
                               AssertBusy();
                               if (term == term_) Load();
                             }));
}

void NodeLoop::Loaded(absl::StatusOr<Fleet> fleet) {
  if (!fleet.ok()) {
    Log(Severity::kError, "load-failed", {{"error", fleet.status().ToString()}});
    if (absl::IsFailedPrecondition(fleet.status())) {
      Drop(Phase::kFollowing);
      parts_.election->StepDown();
    } else {
      LoadAfterDelay();
    }
    return;
  }
  const absl::Time now = parts_.executor->Now();
  time_ = SteadyTime(now, parts_.executor->Monotonic());
  broker_ = std::make_unique<Broker>(settings_.broker, *std::move(fleet), epoch_, now,
                                     /*again=*/std::exchange(led_epoch_, epoch_) == epoch_);
  {
    MutexLock lock(mutex_);
    phase_ = Phase::kLeading;
    for (const auto& [host, link] : links_) {
      EnqueueLocked(werkplek::AgentAttached{host, link.number}).IgnoreError();
    }
  }
  ++revision_;
  Publish(/*reloaded=*/true);
  Log(Severity::kInfo, "leading",
      {{"epoch", absl::StrCat(epoch_)},
       {"desktops", absl::StrCat(broker_->fleet().desktops.size())},
       {"sessions", absl::StrCat(broker_->fleet().sessions.size())}});
}

void NodeLoop::ArmTick() {
  parts_.executor->PostAfter(settings_.tick, AsLoop([this] {
                               AssertBusy();
                               if (StoodStill()) TakeLeadAnew("the loop stood still");
                               ticked_ = parts_.executor->Monotonic();
                               {
                                 MutexLock lock(mutex_);
                                 if (!tick_waits_ && EnqueueLocked(Tick{}).ok()) tick_waits_ = true;
                               }
                               if (CommitHangs()) LeaveHungCommit();
                               HearHosts();
                               RecheckPeople();
                               ArmTick();
                             }));
}

bool NodeLoop::StoodStill() {
  return parts_.executor->Monotonic() - ticked_ >= settings_.broker.down_after / 2;
}

void NodeLoop::TakeLeadAnew(const char* why) {
  if (picture() == nullptr) return;
  Log(Severity::kWarning, "lead-taken-anew", {{"epoch", absl::StrCat(epoch_)}, {"why", why}});
  Drop(Phase::kFollowing);
  parts_.election->StepDown();
}

absl::Status NodeLoop::Enqueue(decltype(Event::what) what) {
  MutexLock lock(mutex_);
  return EnqueueLocked(std::move(what));
}

absl::Status NodeLoop::EnqueueLocked(decltype(Event::what) what) {
  if (stopped_ || phase_ != Phase::kLeading) return TryAgain();
  const bool bounded = std::holds_alternative<CallRequested>(what) ||
                       std::holds_alternative<SignInChecked>(what) ||
                       std::holds_alternative<CertificateIssued>(what);
  if (bounded && waiting_.size() >= settings_.max_waiting_events) {
    return absl::ResourceExhaustedError("too many calls wait; try again in a second");
  }
  if (!WaitsForCompany(what)) ++others_waiting_;
  waiting_.push_back(Event{std::move(what), ""});
  WakeLocked();
  return absl::OkStatus();
}

void NodeLoop::WakeLocked() {
  if (awake_) return;
  awake_ = true;
  parts_.executor->Post(AsLoop([this] {
    AssertBusy();
    Turn();
  }));
}

void NodeLoop::TurnAfter(absl::Duration rest) {
  parts_.executor->PostAfter(rest, AsLoop([this] {
                               AssertBusy();
                               gathers_ = false;
                               Turn();
                             }));
}

void NodeLoop::WakeIfWaiting() {
  MutexLock lock(mutex_);
  if (!waiting_.empty()) WakeLocked();
}

absl::Duration NodeLoop::GatherFor() const {
  if (waiting_.empty() || waiting_.size() >= settings_.max_batch || others_waiting_ > 0 ||
      sign_ins_in_flight_ == 0) {
    return absl::ZeroDuration();
  }
  return std::max(commit_began_ + kSignInGather - parts_.executor->Monotonic(),
                  absl::ZeroDuration());
}

void NodeLoop::Turn() {
  // What the hosts said meanwhile may wait behind the tick that would judge them.
  if (StoodStill()) TakeLeadAnew("the loop stood still");
  std::vector<Event> batch;
  {
    MutexLock lock(mutex_);
    awake_ = false;
    if (committing_ || phase_ != Phase::kLeading) return;
    if (const absl::Duration rest = GatherFor(); rest > absl::ZeroDuration()) {
      if (!std::exchange(gathers_, true)) TurnAfter(rest);
      return;
    }
    batch.reserve(std::min(waiting_.size(), settings_.max_batch));
    while (!waiting_.empty() && batch.size() < settings_.max_batch) {
      if (!WaitsForCompany(waiting_.front().what)) --others_waiting_;
      batch.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
      if (const auto* report = std::get_if<werkplek::AgentReported>(&batch.back().what)) {
        waiting_reports_.erase(report->link);
      }
      if (std::holds_alternative<Tick>(batch.back().what)) tick_waits_ = false;
    }
  }
  if (batch.empty()) return;
  auto changes = std::make_shared<ChangeSet>();
  const absl::Time now = time_.Now(parts_.executor->Now(), parts_.executor->Monotonic());
  const std::string entropy = parts_.executor->RandomBytes(kEntropyBytes * batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    Event& event = batch[i];
    event.entropy = entropy.substr(i * kEntropyBytes, kEntropyBytes);
    Decision decision = broker_->Apply(event, now);
    std::move(decision.changes.begin(), decision.changes.end(), std::back_inserter(*changes));
    std::move(decision.effects.begin(), decision.effects.end(), std::back_inserter(effects_));
  }
  changes_ = std::move(changes);
  if (changes_->empty()) {
    Publish(/*reloaded=*/false);
    RunEffects();
    WakeIfWaiting();
    return;
  }
  committing_ = true;
  commit_began_ = parts_.executor->Monotonic();
  parts_.store->Commit(epoch_, *changes_, AsLoop([this, term = term_](const absl::Status& status) {
                         AssertBusy();
                         if (term == term_) return Committed(status);
                         if (hung_term_ == term) HungCommitEnded(status);
                       }));
}

void NodeLoop::Committed(const absl::Status& status) {
  committing_ = false;
  if (!status.ok()) {
    CommitFailed(status);
    return;
  }
  load_delay_ = absl::ZeroDuration();
  Observe(StageTook{"commit", parts_.executor->Monotonic() - commit_began_});
  ++revision_;
  // Before the answers, so that who has an answer reads what it says.
  Publish(/*reloaded=*/false);
  RunEffects();
  WakeIfWaiting();
}

void NodeLoop::Publish(bool reloaded) {
  auto fleet = std::make_shared<Fleet>(broker_->fleet());
  fleet->revision = revision_;
  const Picture picture = std::move(fleet);
  {
    MutexLock lock(mutex_);
    picture_ = picture;
  }
  if (reloaded || (changes_ != nullptr && !changes_->empty())) TellWatches(picture, reloaded);
}

void NodeLoop::TellWatches(const Picture& picture, bool reloaded) {
  static const auto* const kNone =
      new std::shared_ptr<const ChangeSet>(std::make_shared<ChangeSet>());
  const werkplek::Committed committed{picture, reloaded ? *kNone : changes_, reloaded};
  uint64_t last = 0;
  for (;;) {
    std::shared_ptr<WatchCallback> watch;
    {
      MutexLock lock(mutex_);
      const auto at = watches_.upper_bound(last);
      if (at == watches_.end()) return;
      last = at->first;
      watch = at->second;
    }
    (*watch)(committed);
  }
}

void NodeLoop::RunEffects() {
  const LogBatch lines;
  std::vector<Effect> effects;
  effects.swap(effects_);
  for (const Effect& effect : effects) RunEffect(effect);
}

void NodeLoop::RunEffect(const Effect& effect) {
  if (const auto* reply = std::get_if<Reply>(&effect)) {
    if (reply->status.ok()) {
      calls_.Answer(reply->call, reply->response);
    } else {
      calls_.Fail(reply->call, reply->status);
    }
  } else if (const auto* progress = std::get_if<ConnectProgress>(&effect)) {
    calls_.Progress(progress->call, progress->update, progress->last);
  } else if (const auto* failed = std::get_if<ConnectFailed>(&effect)) {
    calls_.Fail(failed->call, failed->status);
  } else if (const auto* send = std::get_if<SendCommand>(&effect)) {
    uint64_t link = 0;
    {
      MutexLock lock(mutex_);
      const auto at = links_.find(send->host);
      if (at == links_.end()) return;
      link = at->second.number;
    }
    parts_.agents->Send(send->host, link, send->command);
  } else if (const auto* fence = std::get_if<FenceHost>(&effect)) {
    SwitchOff(*fence);
  } else if (const auto* log = std::get_if<LogEvent>(&effect)) {
    const std::vector<LogField> fields(log->fields.begin(), log->fields.end());
    Log(log->severity, log->event, fields);
  } else {
    Observe(effect);
  }
}

void NodeLoop::SwitchOff(const FenceHost& fence) {
  if (parts_.fencer == nullptr) {
    Enqueue(HostFenced{fence.host, fence.asked,
                       absl::FailedPreconditionError("no fence command is configured")})
        .IgnoreError();
    return;
  }
  parts_.fencer->Fence(
      fence.host, AsLoop([this, fence, term = term_](absl::Status status) {
        AssertBusy();
        // Another lead judges by its own times.
        if (term != term_) return;
        Enqueue(HostFenced{fence.host, fence.asked, std::move(status)}).IgnoreError();
      }));
}

void NodeLoop::Observe(const Effect& effect) const {
  if (parts_.observe) parts_.observe(effect);
}

void NodeLoop::FailSoon(CallId call, const absl::Status& why) {
  if (stopped()) {
    calls_.Fail(call, why);
    return;
  }
  parts_.executor->Post([weak = weak_from_this(), call, why] {
    if (const auto self = weak.lock(); self != nullptr) {
      BusyLock busy(*self);
      self->calls_.Fail(call, why);
    }
  });
}

}  // namespace werkplek
