// Calls to the brokers: several addresses, failover, retries with the same request id.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/api/retry.h"
#include "client/api/silence_limit.h"
#include "common/base/crypto.h"
#include "common/grpc/connection_poller.h"
#include "grpcpp/grpcpp.h"

namespace werkplek {

// One broker. Channels connect on first use.
struct BrokerEndpoint {
  // "ADDRESS:PORT", for messages.
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
};

// Time and chance of the retries.
struct RetryPorts {
  std::function<absl::Duration()> monotonic;
  std::function<void(absl::Duration)> sleep;
  // In [0, 1).
  std::function<double()> chance;

  static RetryPorts Real();
};

// 16 random bytes in hexadecimal.
std::string NewRequestId();

// Not thread-safe: one call at a time.
//
// Errors are the broker's own; when no broker answered at all, UNAVAILABLE with each address and
// what was wrong with it.
class BrokerClient {
 public:
  // `endpoints` is not empty.
  BrokerClient(std::vector<BrokerEndpoint> endpoints, RetryPolicy policy,
               RetryPorts ports = RetryPorts::Real());

  // Sent with every call from now on, as `authorization: Bearer TOKEN`; empty: none.
  void SetAccessToken(Secret token) { access_token_ = std::move(token); }

  // Told before each delay and each change of broker, for people who wait.
  using RetryListener = std::function<void(const std::string& address, const absl::Status& failure,
                                           absl::Duration delay)>;
  void SetRetryListener(RetryListener listener) { on_retry_ = std::move(listener); }

  // The broker that answered last.
  const std::string& address() const { return endpoints_[current_].address; }

  // All brokers, in the order of the configuration.
  std::vector<std::string> addresses() const;

  // One unary call: `client.Call(&SessionService::Stub::ListPools, request)`.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    Response response;
    absl::Status status =
        Try(policy_.attempt_timeout,
            [&](const BrokerEndpoint& broker, grpc::ClientContext& context, const Progress&) {
              response.Clear();
              return (Stub(broker.channel).*method)(&context, request, &response);
            });
    if (!status.ok()) return status;
    return response;
  }

  // What a stream is told of and bounded by. All but `on_message` may be left out.
  template <typename Response>
  struct StreamHandler {
    // False: stop.
    std::function<bool(const Response&)> on_message;
    // Told before each stream.
    std::function<void()> on_open = nullptr;
    // How long the broker may say nothing after this message; then the next broker is asked.
    std::function<absl::Duration(const Response&)> silence = nullptr;
  };

  // One server stream, opened anew (with the same request) when it is lost. `timeout` bounds one
  // stream.
  template <typename Stub, typename Request, typename Response>
  absl::Status Stream(std::unique_ptr<grpc::ClientReader<Response>> (Stub::*open)(
                          grpc::ClientContext*, const Request&),
                      const Request& request, absl::Duration timeout,
                      const StreamHandler<Response>& handler) {
    return Try(timeout, [&](const BrokerEndpoint& broker, grpc::ClientContext& context,
                            const Progress& progress) {
      if (handler.on_open) handler.on_open();
      std::unique_ptr<grpc::ClientReader<Response>> reader =
          (Stub(broker.channel).*open)(&context, request);
      SilenceLimit silence(&context);
      Response response;
      while (reader->Read(&response)) {
        progress();
        if (!handler.on_message(response)) {
          context.TryCancel();
          while (reader->Read(&response)) {
          }
          (void)reader->Finish();
          return grpc::Status::OK;
        }
        if (handler.silence) silence.Restart(handler.silence(response));
        response.Clear();
      }
      const grpc::Status status = reader->Finish();
      if (!status.ok() && silence.passed()) return FellSilent();
      return status;
    });
  }

 private:
  // Called when a stream brought something: failures are counted anew, and the time for them from
  // this stream's end, however long it said nothing before that.
  using Progress = std::function<void()>;
  using Attempt = absl::FunctionRef<grpc::Status(
      const BrokerEndpoint& broker, grpc::ClientContext& context, const Progress& progress)>;

  // Of a broker that keeps its connection and says nothing: another one is asked.
  static grpc::Status FellSilent();
  absl::Status Try(absl::Duration timeout, Attempt attempt);
  // False: the current broker is still connecting, and the others are to have their turn. Its
  // connection goes on meanwhile.
  bool IsLetIn();
  bool HasOtherLine() const;
  // The failure for the caller, with what every broker said.
  absl::Status Conclude(const absl::Status& last) const;

  const std::vector<BrokerEndpoint> endpoints_;
  const RetryPolicy policy_;
  const RetryPorts ports_;
  RetryListener on_retry_;
  Secret access_token_;
  size_t current_ = 0;
  // By endpoint: why it could not be reached; empty: it was.
  std::vector<std::string> unreachable_;
  // By endpoint: this call has waited for its connection in vain.
  std::vector<bool> passed_over_;
  const ConnectionPoller poller_;
};

}  // namespace werkplek
