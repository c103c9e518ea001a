#include "client/api/broker_client.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/grpc/retry_after.h"

namespace werkplek {
namespace {

// A broker that asks for more is not believed.
constexpr absl::Duration kMaxRetryAfter = absl::Minutes(10);

constexpr char kNotLetIn[] = "no connection yet";

absl::Status ToAbsl(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  return WithRetryAfterText(
      absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()),
      RetryAfterText(context));
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const absl::Duration said = RetryDelayOf(status);
  if (said == absl::ZeroDuration()) return std::nullopt;
  return std::min(said, kMaxRetryAfter);
}

// gRPC's own words for "the connection could not be made or broke", without its preamble. Empty:
// the status is the broker's.
std::string TransportFailure(const absl::Status& status) {
  absl::string_view message = status.message();
  if (status.code() != absl::StatusCode::kUnavailable) return "";
  if (absl::ConsumePrefix(&message, "failed to connect to all addresses; last error: ")) {
    // "UNKNOWN: ipv4:127.0.0.1:7443: Failed to connect to remote host: Connection refused"
    const size_t last = message.rfind(": ");
    if (absl::StrContains(message, "Failed to connect to remote host") &&
        last != absl::string_view::npos) {
      message.remove_prefix(last + 2);
    }
    return std::string(message);
  }
  for (const char* own :
       {kNotLetIn, "Socket closed", "Connection reset by peer", "recvmsg", "Broken", "GOAWAY",
        "Endpoint read failed", "empty address list", "DNS resolution failed", "keepalive"}) {
    if (absl::StrContains(message, own)) return std::string(message);
  }
  return "";
}

}  // namespace

RetryPorts RetryPorts::Real() {
  return {
      .monotonic =
          [] { return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()); },
      .sleep = [](absl::Duration delay) { absl::SleepFor(delay); },
      .chance =
          [] {
            const std::string bytes = RandomBytes(2);
            return ((static_cast<uint8_t>(bytes[0]) << 8) | static_cast<uint8_t>(bytes[1])) /
                   65536.0;
          },
  };
}

std::string NewRequestId() { return HexEncode(RandomBytes(16)); }

BrokerClient::BrokerClient(std::vector<BrokerEndpoint> endpoints, RetryPolicy policy,
                           RetryPorts ports)
    : endpoints_(std::move(endpoints)),
      policy_(policy),
      ports_(std::move(ports)),
      unreachable_(endpoints_.size()) {}

std::vector<std::string> BrokerClient::addresses() const {
  std::vector<std::string> addresses;
  for (const BrokerEndpoint& endpoint : endpoints_) addresses.push_back(endpoint.address);
  return addresses;
}

bool BrokerClient::IsLetIn() {
  if (endpoints_.size() == 1) return true;
  grpc::Channel& channel = *endpoints_[current_].channel;
  const auto until =
      std::chrono::system_clock::now() + absl::ToChronoMilliseconds(policy_.connect_patience);
  grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
  // Of a connection that was made or refused, the call itself learns more.
  while (state == GRPC_CHANNEL_CONNECTING || state == GRPC_CHANNEL_IDLE) {
    if (passed_over_[current_] && HasOtherLine()) return false;
    if (!channel.WaitForStateChange(state, until)) {
      passed_over_[current_] = true;
      return false;
    }
    state = channel.GetState(/*try_to_connect=*/true);
  }
  return true;
}

bool BrokerClient::HasOtherLine() const {
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (i != current_ && endpoints_[i].channel->GetState(false) == GRPC_CHANNEL_READY) return true;
  }
  return false;
}

grpc::Status BrokerClient::FellSilent() {
  return {grpc::StatusCode::DEADLINE_EXCEEDED, "the broker says nothing any more"};
}

absl::Status BrokerClient::Try(absl::Duration timeout, Attempt attempt) {
  RetryPlan plan(policy_, endpoints_.size());
  absl::Duration start = ports_.monotonic();
  unreachable_.assign(endpoints_.size(), "");
  passed_over_.assign(endpoints_.size(), false);
  bool progressed = false;
  const Progress progress = [&progressed] { progressed = true; };
  while (true) {
    progressed = false;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
    if (!access_token_.empty()) {
      context.AddMetadata("authorization", absl::StrCat("Bearer ", access_token_.Reveal()));
    }
    const absl::Status status =
        IsLetIn() ? ToAbsl(attempt(endpoints_[current_], context, progress), context)
                  : absl::UnavailableError(kNotLetIn);
    if (status.ok()) return status;
    if (progressed) {
      plan.Reset();
      start = ports_.monotonic();
    }
    unreachable_[current_] = TransportFailure(status);
    const RetryPlan::Step step =
        plan.After(status.code(), RetryAfter(status), ports_.monotonic() - start, ports_.chance());
    if (!step.retry) return Conclude(status);
    if (on_retry_) on_retry_(endpoints_[current_].address, status, step.delay);
    if (step.next_broker) current_ = (current_ + 1) % endpoints_.size();
    if (step.delay > absl::ZeroDuration()) ports_.sleep(step.delay);
  }
}

absl::Status BrokerClient::Conclude(const absl::Status& last) const {
  if (TransportFailure(last).empty()) return last;
  std::string reasons;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    if (unreachable_[i].empty()) continue;
    absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", endpoints_[i].address, ": ",
                    unreachable_[i]);
  }
  return absl::UnavailableError(absl::StrCat("no broker answers (", reasons, ")"));
}

}  // namespace werkplek
