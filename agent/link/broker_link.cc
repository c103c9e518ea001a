#include "agent/link/broker_link.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/link/broker_plan.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

// Trailing metadata of a broker that does not lead: where the one that does listens for agents.
constexpr char kLeaderKey[] = "leader-agent-address";
constexpr size_t kMaxAddressBytes = 255;

std::string LeaderOf(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(kLeaderKey);
  if (found == trailing.end() || found->second.size() > kMaxAddressBytes) return "";
  std::string address(found->second.data(), found->second.size());
  // Nothing that gRPC would take for another kind of target.
  return address.find('/') == std::string::npos ? address : "";
}

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

grpc::ChannelArguments Arguments(const BrokerLinkSettings& settings) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, absl::ToInt64Milliseconds(settings.keepalive));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   absl::ToInt64Milliseconds(settings.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The messages are small: sizing windows by a ping after each costs the broker more than reading
  // the report does.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // The pauses are ours.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // How long one attempt to connect may take; unset, 20 s: the kernel of a broker that stands still
  // accepts, and nothing more comes.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  // A new channel is to be a new connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Commands are small; what is larger is no command.
  arguments.SetMaxReceiveMessageSize(64 * 1024);
  return arguments;
}

}  // namespace

// Lives as long as a stream or a timer of it may call back.
class BrokerLink::State : public std::enable_shared_from_this<State> {
 public:
  State(BrokerLinkSettings settings, std::shared_ptr<grpc::ChannelCredentials> credentials,
        Executor* executor, BrokerLinkListener listener)
      : settings_(std::move(settings)),
        credentials_(std::move(credentials)),
        executor_(executor),
        listener_(std::move(listener)),
        plan_(settings_) {}

  // On the executor.
  void Attempt();
  void Stop();
  void Send(v1::AgentReport report);

 private:
  class Stream;

  // From the stream's threads.
  void Received(const v1::AgentCommand& command);
  // The stream is about to be deleted; then it was, which ends Stop's wait.
  void LetGo();
  void Ended(const BrokerPlan::End& end, const absl::Status& why);
  // On the executor.
  void GoOn(BrokerPlan::End end, absl::Status why);
  // Has the silence judged when it is due.
  void ArmWatch();
  // Leaves the stream once it has said nothing for too long.
  void JudgeSilence();
  const std::shared_ptr<grpc::Channel>& ChannelTo(const std::string& broker);

  const BrokerLinkSettings settings_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Executor* const executor_;
  const BrokerLinkListener listener_;

  // On the executor only.
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  BrokerPlan plan_;
  absl::Duration watch_at_ = absl::InfiniteDuration();
  // The last attempt was given up since its broker said nothing.
  bool silent_ = false;

  Mutex mutex_;
  CondVar ended_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
  int streams_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One stream; deletes itself when it is done.
class BrokerLink::State::Stream
    : public grpc::ClientBidiReactor<v1::AgentReport, v1::AgentCommand> {
 public:
  Stream(State* state, std::string broker, const std::shared_ptr<grpc::Channel>& channel)
      : state_(state), broker_(std::move(broker)), stub_(v1::AgentService::NewStub(channel)) {
    stub_->async()->Attach(&context_, this);
    StartRead(&command_);
    // Writes start later, from other threads.
    AddHold();
    StartCall();
  }

  void Cancel() { context_.TryCancel(); }

  void Write(v1::AgentReport report) {
    MutexLock lock(mutex_);
    if (over_) return;
    if (writing_) {
      waiting_ = std::move(report);
      return;
    }
    sending_ = std::move(report);
    writing_ = true;
    StartWrite(&sending_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish();
    if (!heard_) {
      heard_ = true;
      Log(Severity::kInfo, "broker-link-up", {{"broker", broker_}});
    }
    state_->Received(command_);
    command_.Clear();
    StartRead(&command_);
  }

  void OnWriteDone(bool ok) override {
    {
      MutexLock lock(mutex_);
      writing_ = false;
      if (ok && !over_ && waiting_.has_value()) {
        sending_ = *std::move(waiting_);
        waiting_.reset();
        writing_ = true;
        StartWrite(&sending_);
        return;
      }
    }
    if (!ok) Finish();
  }

  void OnDone(const grpc::Status& status) override {
    absl::Status why = ToAbsl(status);
    if (why.ok()) why = absl::UnavailableError("the broker ended the stream");
    const BrokerPlan::End end{.broker = broker_, .leader = LeaderOf(context_)};
    // The state must go last, and not from here: the channel's end would wait for this very thread
    // of gRPC's. So it waits in Stop until the stream, with its share of the channel, is gone.
    State* const state = state_;
    state->LetGo();
    delete this;
    state->Ended(end, why);
  }

 private:
  // No further operations; the hold goes once.
  void Finish() {
    {
      MutexLock lock(mutex_);
      if (over_) return;
      over_ = true;
    }
    context_.TryCancel();
    RemoveHold();
  }

  State* const state_;
  const std::string broker_;
  const std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  v1::AgentCommand command_;
  bool heard_ = false;

  Mutex mutex_;
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  v1::AgentReport sending_;
  std::optional<v1::AgentReport> waiting_ ABSL_GUARDED_BY(mutex_);
};

const std::shared_ptr<grpc::Channel>& BrokerLink::State::ChannelTo(const std::string& broker) {
  // Leaders that were named and are not of the list: the last one is kept, no more.
  for (auto at = channels_.begin(); at != channels_.end();) {
    const bool listed = std::find(settings_.brokers.begin(), settings_.brokers.end(), at->first) !=
                        settings_.brokers.end();
    at = listed || at->first == broker ? std::next(at) : channels_.erase(at);
  }
  std::shared_ptr<grpc::Channel>& channel = channels_[broker];
  if (channel == nullptr) {
    channel = grpc::CreateCustomChannel(broker, credentials_, Arguments(settings_));
  }
  return channel;
}

void BrokerLink::State::Attempt() {
  const std::string broker = plan_.Begin(executor_->Monotonic());
  const std::shared_ptr<grpc::Channel>& channel = ChannelTo(broker);
  silent_ = false;
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    ++streams_;
    stream_ = new Stream(this, broker, channel);
  }
  ArmWatch();
  listener_.up();
}

void BrokerLink::State::ArmWatch() {
  const absl::Duration at = plan_.silent_at();
  // A timer that comes sooner arms the next one.
  if (at >= watch_at_) return;
  watch_at_ = at;
  executor_->PostAfter(at - executor_->Monotonic(), [weak = weak_from_this(), at] {
    const auto self = weak.lock();
    // One that a sooner one overtook does nothing.
    if (self == nullptr || self->watch_at_ != at) return;
    self->watch_at_ = absl::InfiniteDuration();
    self->JudgeSilence();
  });
}

void BrokerLink::State::JudgeSilence() {
  if (executor_->Monotonic() < plan_.silent_at()) return ArmWatch();
  MutexLock lock(mutex_);
  // It may have ended by itself meanwhile.
  if (stopping_ || stream_ == nullptr) return;
  silent_ = true;
  stream_->Cancel();
}

void BrokerLink::State::Send(v1::AgentReport report) {
  MutexLock lock(mutex_);
  if (stream_ != nullptr) stream_->Write(std::move(report));
}

void BrokerLink::State::Received(const v1::AgentCommand& command) {
  executor_->Post([self = shared_from_this(), command] {
    {
      MutexLock lock(self->mutex_);
      if (self->stopping_) return;
    }
    self->plan_.Heard(command, self->executor_->Monotonic());
    self->ArmWatch();
    self->listener_.command(command);
  });
}

void BrokerLink::State::LetGo() {
  MutexLock lock(mutex_);
  stream_ = nullptr;
}

void BrokerLink::State::Ended(const BrokerPlan::End& end, const absl::Status& why) {
  MutexLock lock(mutex_);
  --streams_;
  if (stopping_) {
    ended_.SignalAll();
    return;
  }
  executor_->Post([self = shared_from_this(), end, why] {
    {
      MutexLock state_lock(self->mutex_);
      if (self->stopping_) return;
    }
    self->GoOn(end, why);
  });
}

void BrokerLink::State::GoOn(BrokerPlan::End end, absl::Status why) {
  if (silent_) {
    end.silent = true;
    why = absl::DeadlineExceededError(
        absl::StrCat("said nothing for ", absl::FormatDuration(plan_.limit())));
    // Pings may take long yet to find out that nobody is at the other end of this connection. One
    // that is still being made may come about.
    const auto at = channels_.find(end.broker);
    if (at != channels_.end() &&
        at->second->GetState(/*try_to_connect=*/false) == GRPC_CHANNEL_READY) {
      channels_.erase(at);
    }
  }
  why = absl::Status(why.code(), absl::StrCat(end.broker, ": ", why.message()));
  listener_.down(why);
  const auto chance = static_cast<uint8_t>(executor_->RandomBytes(1)[0]);
  const absl::Duration pause = plan_.Ended(end, chance);
  Log(Severity::kWarning, "broker-link-down",
      {{"why", why.ToString()},
       {"leader", end.leader},
       {"next-attempt-ms", absl::StrCat(absl::ToInt64Milliseconds(pause))}});
  executor_->PostAfter(pause, [self = shared_from_this()] { self->Attempt(); });
}

void BrokerLink::State::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  if (stream_ != nullptr) stream_->Cancel();
  while (streams_ > 0) ended_.Wait(mutex_);
}

BrokerLink::BrokerLink(BrokerLinkSettings settings,
                       std::shared_ptr<grpc::ChannelCredentials> credentials, Executor* executor,
                       BrokerLinkListener listener)
    : state_(std::make_shared<State>(std::move(settings), std::move(credentials), executor,
                                     std::move(listener))),
      executor_(executor) {}

BrokerLink::~BrokerLink() { Stop(); }

void BrokerLink::Start() {
  executor_->Post([state = state_] { state->Attempt(); });
}

void BrokerLink::Stop() { state_->Stop(); }

void BrokerLink::Send(v1::AgentReport report) { state_->Send(std::move(report)); }

}  // namespace werkplek
