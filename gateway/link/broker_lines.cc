#include "gateway/link/broker_lines.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/grpc/browser_address.h"
#include "common/grpc/retry_after.h"

namespace werkplek {
namespace {

// Less than what brokers take from one connection.
constexpr long kStreamsOfConnection = 80;

}  // namespace

grpc::ChannelArguments LineArguments() {
  grpc::ChannelArguments arguments;
  // The retries are ours.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // How long one attempt to connect may take; unset, 20 s.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(64 * 1024);
  // A broker that is frozen, or whose machine has lost its power, closes nothing. More often would
  // be too often for it (least_ping_interval in broker/rpc/listener.h).
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 21'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  // Who waits for a desktop sends nothing; gRPC would stop asking after two signs of life.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return arguments;
}

BrokerLines::BrokerLines(const std::vector<std::string>& brokers,
                         const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                         absl::Duration call_deadline)
    : credentials_(credentials), call_deadline_(call_deadline) {
  for (const std::string& broker : brokers) {
    const auto channel = grpc::CreateCustomChannel(broker, credentials, LineArguments());
    lines_.push_back(
        {broker, v1::GatewayService::NewStub(channel), v1::SessionService::NewStub(channel)});
  }
}

BrokerLines::~BrokerLines() { calls_.CancelAndWait(); }

bool BrokerLines::Begin(grpc::ClientContext& context, const CalledFor& whom) {
  if (!whom.access_token.empty()) {
    context.AddMetadata("authorization", absl::StrCat("Bearer ", whom.access_token.Reveal()));
  }
  if (!whom.browser_address.empty()) {
    context.AddMetadata(kBrowserAddressKey, whom.browser_address);
  }
  return calls_.Add(context);
}

void BrokerLines::End(std::unique_ptr<grpc::ClientContext> context) {
  calls_.Remove(std::move(context));
}

void BrokerLines::PassOver(const Line& line) {
  MutexLock lock(mutex_);
  if (&lines_[current_] == &line) current_ = (current_ + 1) % lines_.size();
}

std::shared_ptr<v1::SessionService::Stub> BrokerLines::StubForStream(const Line& line) {
  MutexLock lock(mutex_);
  auto& stubs = for_streams_[line.broker];
  for (const auto& stub : stubs) {
    // One holder is the list itself.
    if (stub.use_count() <= kStreamsOfConnection) return stub;
  }
  if (stubs.size() >= kMaxStreamConnections) return stubs.back();
  grpc::ChannelArguments arguments = LineArguments();
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  stubs.push_back(
      v1::SessionService::NewStub(grpc::CreateCustomChannel(line.broker, credentials_, arguments)));
  return stubs.back();
}

size_t BrokerLines::Current() {
  MutexLock lock(mutex_);
  return current_;
}

std::chrono::system_clock::time_point BrokerLines::Deadline(const Patience& patience) const {
  const bool own = patience.deadline == absl::ZeroDuration();
  return absl::ToChronoTime(absl::Now() + (own ? call_deadline_ : patience.deadline));
}

bool BrokerLines::IsWorthAnother(const grpc::Status& status, const Patience& patience) {
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
         (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
          patience.ask_others_when_silent);
}

absl::Status BrokerLines::ToStatus(const Line& line, const grpc::ClientContext& context,
                                   const grpc::Status& status) {
  absl::Status mapped(static_cast<absl::StatusCode>(status.error_code()),
                      IsWorthAnother(status, Patience())
                          ? absl::StrCat(line.broker, ": ", status.error_message())
                          : status.error_message());
  return WithRetryAfterText(std::move(mapped), RetryAfterText(context));
}

}  // namespace werkplek
