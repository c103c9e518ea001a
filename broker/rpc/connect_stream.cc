#include "broker/rpc/connect_stream.h"

#include <utility>

#include "broker/core/gateway_views.h"
#include "common/base/monotonic.h"

namespace werkplek {
namespace {

// A newer position says all that an older one said.
const char* CoalescingKey(const v1::ConnectUpdate& update) {
  return update.stage_case() == v1::ConnectUpdate::kQueued ? "queued" : "";
}

}  // namespace

ConnectStream* ConnectStream::Begin(BrokerNode* node, GatewayBook* gateways,
                                    grpc::CallbackServerContext* context, const Caller& caller,
                                    const v1::ConnectRequest& request, size_t max_waiting) {
  const std::shared_ptr<ConnectStream> stream(
      new ConnectStream(node, gateways, context, max_waiting));
  stream->self_ = stream;
  const CallId call =
      node->Connect(caller, request, [stream](absl::StatusOr<v1::ConnectUpdate> update, bool last) {
        stream->Update(std::move(update), last);
      });
  bool cancelled;
  {
    MutexLock lock(stream->mutex_);
    stream->call_ = call;
    cancelled = stream->cancelled_;
  }
  if (cancelled) node->Cancel(call);
  return stream.get();
}

void ConnectStream::Update(absl::StatusOr<v1::ConnectUpdate> update, bool last) {
  if (!update.ok()) return End(update.status());
  if (const Picture picture = update->has_ready() ? node_->picture() : nullptr) {
    gateways_->Tell(SiteOf(*picture, update->ready().host()), MonotonicNow(),
                    *update->mutable_ready());
  }
  const char* key = CoalescingKey(*update);
  if (!Push(key, *std::move(update))) {
    Abort(absl::ResourceExhaustedError("the updates were not read in time; connect again"));
    return Cancel();
  }
  if (last) End(absl::OkStatus());
}

void ConnectStream::OnCancel() {
  Abort(absl::CancelledError("the caller went away"));
  Cancel();
}

void ConnectStream::OnDone() { const std::shared_ptr<ConnectStream> last = std::move(self_); }

void ConnectStream::Cancel() {
  CallId call;
  {
    MutexLock lock(mutex_);
    if (std::exchange(cancelled_, true) || !call_.has_value()) return;
    call = *call_;
  }
  node_->Cancel(call);
}

}  // namespace werkplek
