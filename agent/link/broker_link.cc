#include "agent/link/broker_link.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "werkplek/v1/agent.grpc.pb.h"

namespace werkplek {
namespace {

// Trailing metadata of a broker that does not lead: where the one that does listens for agents.
constexpr char kLeaderKey[] = "leader-agent-address";
constexpr size_t kMaxAddressBytes = 255;
// Brokers that send an agent round are not followed for ever.
constexpr int kMaxRedirects = 3;

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
        listener_(std::move(listener)) {}

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
  struct End {
    absl::Status why;
    std::string broker;
    bool was_heard = false;
    // Where the broker said that the leader is; empty: it did not.
    std::string leader;
  };
  void Ended(const End& end);
  // Chooses the next broker, and the pause before it is tried.
  absl::Duration PlanNext(const End& end);
  absl::Duration NextPause();
  // Between half and the whole, so that a thousand hosts do not come back at once.
  absl::Duration Spread(absl::Duration pause);
  const std::shared_ptr<grpc::Channel>& ChannelTo(const std::string& broker);

  const BrokerLinkSettings settings_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  Executor* const executor_;
  const BrokerLinkListener listener_;

  // On the executor only.
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
  size_t next_broker_ = 0;
  // Tried before the next one of the list: the leader that a broker named, or once more the broker
  // that was the leader until now. Empty: none.
  std::string first_try_;
  int redirects_ = 0;
  absl::Duration pause_ = absl::ZeroDuration();

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
    const End end{absl::Status(why.code(), absl::StrCat(broker_, ": ", why.message())), broker_,
                  heard_, LeaderOf(context_)};
    // The state must go last, and not from here: the channel's end would wait for this very thread
    // of gRPC's. So it waits in Stop until the stream, with its share of the channel, is gone.
    State* const state = state_;
    state->LetGo();
    delete this;
    state->Ended(end);
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
  std::string broker = std::exchange(first_try_, "");
  if (broker.empty()) broker = settings_.brokers[next_broker_++ % settings_.brokers.size()];
  const std::shared_ptr<grpc::Channel>& channel = ChannelTo(broker);
  {
    MutexLock lock(mutex_);
    if (stopping_) return;
    ++streams_;
    stream_ = new Stream(this, broker, channel);
  }
  listener_.up();
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
    // A broker that answers is stayed with.
    self->pause_ = absl::ZeroDuration();
    self->listener_.command(command);
  });
}

void BrokerLink::State::LetGo() {
  MutexLock lock(mutex_);
  stream_ = nullptr;
}

void BrokerLink::State::Ended(const End& end) {
  MutexLock lock(mutex_);
  --streams_;
  if (stopping_) {
    ended_.SignalAll();
    return;
  }
  executor_->Post([self = shared_from_this(), end] {
    {
      MutexLock state_lock(self->mutex_);
      if (self->stopping_) return;
    }
    self->listener_.down(end.why);
    const absl::Duration pause = self->PlanNext(end);
    Log(Severity::kWarning, "broker-link-down",
        {{"why", end.why.ToString()},
         {"leader", end.leader},
         {"next-attempt-ms", absl::StrCat(absl::ToInt64Milliseconds(pause))}});
    self->executor_->PostAfter(pause, [self] { self->Attempt(); });
  });
}

absl::Duration BrokerLink::State::PlanNext(const End& end) {
  if (end.was_heard) redirects_ = 0;
  if (!end.leader.empty() && end.leader != end.broker && redirects_ < kMaxRedirects) {
    ++redirects_;
    first_try_ = end.leader;
    // It is known where to go; the pause only keeps a thousand hosts from coming at once.
    return Spread(settings_.first_pause);
  }
  redirects_ = 0;
  // The same broker once more when it was the leader until now, else the next one.
  if (end.was_heard) first_try_ = end.broker;
  return NextPause();
}

absl::Duration BrokerLink::State::NextPause() {
  pause_ = pause_ == absl::ZeroDuration() ? settings_.first_pause
                                          : std::min(pause_ * 2, settings_.last_pause);
  return Spread(pause_);
}

absl::Duration BrokerLink::State::Spread(absl::Duration pause) {
  const auto chance = static_cast<unsigned char>(executor_->RandomBytes(1)[0]);
  return pause / 2 + pause / 2 * chance / 255;
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
