#include "gateway/link/broker_link.h"

#include <pthread.h>

#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/mutex.h"

namespace werkplek {

class GatewayLink::State {
 public:
  State(GatewayLinkSettings settings, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
        std::function<uint32_t()> channels)
      : settings_(std::move(settings)),
        channels_(std::move(channels)),
        lines_(settings_.brokers, credentials, settings_.call_deadline) {
    thread_ = std::thread([this] { Announce(); });
  }

  ~State() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.SignalAll();
    }
    thread_.join();
  }

  BrokerLines& lines() { return lines_; }

 private:
  void Announce();
  void AnnounceOnce();
  void Answered(const absl::Status& status);

  const GatewayLinkSettings settings_;
  const std::function<uint32_t()> channels_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // An announcement is under way.
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  // Whether the last announcement was heard, and something was said.
  bool heard_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
  // Goes first: its callbacks use what stands above.
  BrokerLines lines_;
};

void GatewayLink::State::AnnounceOnce() {
  v1::AnnounceGatewayRequest request = settings_.announcement;
  request.set_channels(channels_());
  lines_.Ask<v1::AnnounceGatewayResponse>(
      {},
      [request](const BrokerLines::Line& line, grpc::ClientContext* context, auto* response,
                BrokerLines::Done done) {
        line.gateway->async()->AnnounceGateway(context, &request, response, std::move(done));
      },
      [this](const auto& answer) { Answered(answer.status()); });
}

void GatewayLink::State::Answered(const absl::Status& status) {
  MutexLock lock(mutex_);
  asking_ = false;
  changed_.SignalAll();
  if (stopping_) return;
  if (status.ok()) {
    if (!heard_) Log(Severity::kInfo, "gateway-heard", {{"broker", lines_.Nearest().broker}});
  } else if (heard_ || !told_) {
    Log(Severity::kWarning, "gateway-not-heard", {{"reason", status.ToString()}});
  }
  heard_ = status.ok();
  told_ = true;
}

void GatewayLink::State::Announce() {
  pthread_setname_np(pthread_self(), "announce");
  for (;;) {
    {
      MutexLock lock(mutex_);
      asking_ = true;
    }
    AnnounceOnce();
    MutexLock lock(mutex_);
    while (asking_ && !stopping_) changed_.Wait(mutex_);
    if (!stopping_) changed_.WaitFor(mutex_, settings_.announce_interval);
    if (stopping_) return;
  }
}

GatewayLink::GatewayLink(GatewayLinkSettings settings,
                         const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                         std::function<uint32_t()> channels)
    : state_(std::make_unique<State>(std::move(settings), credentials, std::move(channels))) {}

GatewayLink::~GatewayLink() = default;

BrokerLines& GatewayLink::lines() { return state_->lines(); }

void GatewayLink::Find(v1::FindDisplayRequest request, Found found) {
  lines().Ask<v1::FindDisplayResponse>(
      {},
      [request = std::move(request)](const BrokerLines::Line& line, grpc::ClientContext* context,
                                     auto* response, BrokerLines::Done done) {
        line.gateway->async()->FindDisplay(context, &request, response, std::move(done));
      },
      std::move(found));
}

}  // namespace werkplek
