// The lines of a gateway to the brokers: each call goes to the broker that answered last, and on to
// the next one when it does not answer. Any broker answers; one that does not lead asks the one
// that does.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/base/mutex.h"
#include "common/grpc/connection_poller.h"
#include "werkplek/v1/gateway.grpc.pb.h"
#include "werkplek/v1/session.grpc.pb.h"

namespace werkplek {

// For whom a gateway calls.
struct CalledFor {
  // Of the person's sign-in; empty: none.
  Secret access_token;
  // "198.51.100.7:51234", where the person's browser is; empty: the gateway calls for itself.
  std::string browser_address;
};

// Thread-safe.
class BrokerLines {
 public:
  struct Line {
    // "ADDRESS:PORT".
    std::string broker;
    std::unique_ptr<v1::GatewayService::Stub> gateway;
    std::unique_ptr<v1::SessionService::Stub> session;
  };
  using Done = std::function<void(grpc::Status)>;
  template <typename Response>
  using Start = std::function<void(const Line&, grpc::ClientContext*, Response*, Done)>;

  // `brokers` is not empty; each is "ADDRESS:PORT" of a port for clients, the nearest first.
  // `call_deadline` is for one broker.
  BrokerLines(const std::vector<std::string>& brokers,
              const std::shared_ptr<grpc::ChannelCredentials>& credentials,
              absl::Duration call_deadline);
  // Cancels what is under way and waits until it has ended; no callback comes afterwards.
  ~BrokerLines();
  BrokerLines(const BrokerLines&) = delete;
  BrokerLines& operator=(const BrokerLines&) = delete;

  // One unary call; `start` makes it at a line, perhaps several times, so what it sends must bear
  // that (a request id). Returns at once; `answered` is called once, from any thread. UNAVAILABLE
  // or DEADLINE_EXCEEDED: no broker could say; names the last one. Otherwise a broker's own answer;
  // RetryAfter reads what it said of that.
  template <typename Response>
  void Ask(CalledFor whom, Start<Response> start,
           std::function<void(absl::StatusOr<Response>)> answered) {
    auto asking = std::make_shared<Asking<Response>>();
    asking->whom = std::move(whom);
    asking->start = std::move(start);
    asking->answered = std::move(answered);
    asking->line = Current();
    Try(asking);
  }

  // For streams: the line to begin at, and a context that is cancelled when the lines go. False:
  // they are going. End must follow, as the last thing that a call does: it takes the context, so
  // that nothing of gRPC's outlives the lines.
  const Line& Nearest() { return lines_[Current()]; }
  bool Begin(grpc::ClientContext& context, const CalledFor& whom);
  void End(std::unique_ptr<grpc::ClientContext> context);
  // The broker of this line did not answer: the next one is asked first from now on.
  void PassOver(const Line& line);
  size_t size() const { return lines_.size(); }

 private:
  // One question, over as many brokers as it takes.
  template <typename Response>
  struct Asking {
    CalledFor whom;
    Start<Response> start;
    std::function<void(absl::StatusOr<Response>)> answered;
    Response response;
    size_t line = 0;
    size_t tried = 0;
    std::unique_ptr<grpc::ClientContext> context;
  };

  template <typename Response>
  void Try(const std::shared_ptr<Asking<Response>>& asking) {
    asking->context = std::make_unique<grpc::ClientContext>();
    asking->context->set_deadline(Deadline());
    if (!Begin(*asking->context, asking->whom)) {
      return asking->answered(absl::CancelledError("the gateway is stopping"));
    }
    asking->response.Clear();
    asking->start(lines_[asking->line], asking->context.get(), &asking->response,
                  [this, asking](const grpc::Status& status) { Answered(asking, status); });
  }

  template <typename Response>
  void Answered(const std::shared_ptr<Asking<Response>>& asking, const grpc::Status& status) {
    std::unique_ptr<grpc::ClientContext> context = std::move(asking->context);
    if (IsWorthAnother(status) && ++asking->tried < lines_.size()) {
      PassOver(lines_[asking->line]);
      asking->line = (asking->line + 1) % lines_.size();
      Try(asking);
    } else if (status.ok()) {
      asking->answered(std::move(asking->response));
    } else {
      asking->answered(ToStatus(lines_[asking->line], *context, status));
    }
    End(std::move(context));
  }

  static bool IsWorthAnother(const grpc::Status& status);
  static absl::Status ToStatus(const Line& line, const grpc::ClientContext& context,
                               const grpc::Status& status);
  std::chrono::system_clock::time_point Deadline() const;
  size_t Current();

  const absl::Duration call_deadline_;
  const ConnectionPoller poller_;
  std::vector<Line> lines_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  // What can be cancelled, and what has not ended.
  std::set<grpc::ClientContext*> running_ ABSL_GUARDED_BY(mutex_);
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
};

// How long a broker asked to wait before the next try; zero: it did not say.
absl::Duration RetryAfter(const absl::Status& status);

}  // namespace werkplek
