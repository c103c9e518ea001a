#include "gateway/link/broker_link.h"

#include <grpcpp/grpcpp.h>
#include <pthread.h>

#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/grpc/connection_poller.h"
#include "werkplek/v1/gateway.grpc.pb.h"

namespace werkplek {
namespace {

absl::Status ToAbsl(const std::string& broker, const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::StrCat(broker, ": ", status.error_message()));
}

// Another broker may know better.
bool IsWorthAnother(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  // The retries are ours.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(64 * 1024);
  return arguments;
}

}  // namespace

class GatewayLink::State {
 public:
  State(GatewayLinkSettings settings, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
        std::function<uint32_t()> channels)
      : settings_(std::move(settings)), channels_(std::move(channels)) {
    for (const std::string& broker : settings_.brokers) {
      stubs_.push_back(
          v1::GatewayService::NewStub(grpc::CreateCustomChannel(broker, credentials, Arguments())));
    }
    thread_ = std::thread([this] { Announce(); });
  }

  ~State() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.SignalAll();
      for (grpc::ClientContext* context : running_) context->TryCancel();
    }
    thread_.join();
    MutexLock lock(mutex_);
    while (!running_.empty()) changed_.Wait(mutex_);
  }

  void Find(v1::FindDisplayRequest request, Found found) {
    auto asking = std::make_shared<Asking>();
    asking->request = std::move(request);
    asking->found = std::move(found);
    asking->broker = Current();
    Try(asking);
  }

 private:
  // One question, over as many brokers as it takes.
  struct Asking {
    v1::FindDisplayRequest request;
    v1::FindDisplayResponse response;
    Found found;
    size_t broker = 0;
    size_t tried = 0;
    std::unique_ptr<grpc::ClientContext> context;
  };

  size_t Current() {
    MutexLock lock(mutex_);
    return current_;
  }

  // The broker did not answer: the next one is asked first from now on.
  void MoveOn(size_t from) {
    MutexLock lock(mutex_);
    if (current_ == from) current_ = (from + 1) % stubs_.size();
  }

  // False: the link is going.
  bool Begin(grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + settings_.call_deadline));
    MutexLock lock(mutex_);
    if (stopping_) return false;
    running_.insert(&context);
    return true;
  }

  void End(grpc::ClientContext& context) {
    MutexLock lock(mutex_);
    running_.erase(&context);
    changed_.SignalAll();
  }

  void Try(const std::shared_ptr<Asking>& asking) {
    asking->context = std::make_unique<grpc::ClientContext>();
    if (!Begin(*asking->context)) {
      return asking->found(absl::CancelledError("the gateway is stopping"));
    }
    stubs_[asking->broker]->async()->FindDisplay(
        asking->context.get(), &asking->request, &asking->response,
        [this, asking](const grpc::Status& status) { Answered(asking, status); });
  }

  void Answered(const std::shared_ptr<Asking>& asking, const grpc::Status& status) {
    const std::unique_ptr<grpc::ClientContext> done = std::move(asking->context);
    if (IsWorthAnother(status) && ++asking->tried < stubs_.size()) {
      MoveOn(asking->broker);
      asking->broker = (asking->broker + 1) % stubs_.size();
      Try(asking);
    } else if (status.ok()) {
      asking->found(std::move(asking->response));
    } else {
      asking->found(ToAbsl(settings_.brokers[asking->broker], status));
    }
    End(*done);
  }

  void Announce();
  bool AnnounceOnce();

  const GatewayLinkSettings settings_;
  const std::function<uint32_t()> channels_;
  const ConnectionPoller poller_;
  std::vector<std::unique_ptr<v1::GatewayService::Stub>> stubs_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
  // On the announcing thread: whether the last announcement was heard, and something was said.
  bool heard_ = false;
  bool told_ = false;
  std::thread thread_;
};

// False: nobody heard it.
bool GatewayLink::State::AnnounceOnce() {
  v1::AnnounceGatewayRequest request = settings_.announcement;
  request.set_channels(channels_());
  absl::Status last;
  for (size_t tried = 0; tried < stubs_.size(); ++tried) {
    const size_t broker = Current();
    grpc::ClientContext context;
    if (!Begin(context)) return false;
    v1::AnnounceGatewayResponse response;
    const grpc::Status status = stubs_[broker]->AnnounceGateway(&context, request, &response);
    End(context);
    if (status.ok()) {
      if (!heard_) Log(Severity::kInfo, "gateway-heard", {{"broker", settings_.brokers[broker]}});
      heard_ = told_ = true;
      return true;
    }
    last = ToAbsl(settings_.brokers[broker], status);
    MoveOn(broker);
  }
  if (heard_ || !told_) {
    Log(Severity::kWarning, "gateway-not-heard", {{"reason", last.ToString()}});
  }
  heard_ = false;
  told_ = true;
  return false;
}

void GatewayLink::State::Announce() {
  pthread_setname_np(pthread_self(), "announce");
  for (;;) {
    AnnounceOnce();
    MutexLock lock(mutex_);
    if (!stopping_) changed_.WaitFor(mutex_, settings_.announce_interval);
    if (stopping_) return;
  }
}

GatewayLink::GatewayLink(GatewayLinkSettings settings,
                         std::shared_ptr<grpc::ChannelCredentials> credentials,
                         std::function<uint32_t()> channels)
    : state_(std::make_unique<State>(std::move(settings), credentials, std::move(channels))) {}

GatewayLink::~GatewayLink() = default;

void GatewayLink::Find(v1::FindDisplayRequest request, Found found) {
  state_->Find(std::move(request), std::move(found));
}

}  // namespace werkplek
