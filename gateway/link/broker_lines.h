// The lines of a gateway to the brokers: each call goes to the broker that answered last, and on to
// the next one when it does not answer. Any broker answers; one that does not lead asks the one
// that does.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/base/mutex.h"
#include "common/grpc/calls_under_way.h"
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

// How long an answer is waited for.
struct Patience {
  // For one broker. Zero: the lines' own.
  absl::Duration deadline = absl::ZeroDuration();
  // The next broker is asked when one does not answer in time, too, and not only when it is not
  // there: no, for what must not be done twice.
  bool ask_others_when_silent = true;
};

// Of each connection to a broker.
grpc::ChannelArguments LineArguments();

// Thread-safe.
class BrokerLines {
 public:
  // To one broker, for streams; more streams wait for each other.
  static constexpr size_t kMaxStreamConnections = 64;

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
  // RetryDelayOf reads what it said of that.
  template <typename Response>
  void Ask(CalledFor whom, Start<Response> start,
           std::function<void(absl::StatusOr<Response>)> answered, const Patience& patience = {}) {
    auto asking = std::make_shared<Asking<Response>>();
    asking->patience = patience;
    asking->whom = std::move(whom);
    asking->start = std::move(start);
    asking->answered = std::move(answered);
    asking->line = Current();
    Try(asking);
  }

  // For streams: the line to begin at.
  const Line& Nearest() { return lines_[Current()]; }
  // A stub for one more stream there, to be kept as long as the stream lives. A broker takes a
  // hundred streams from one connection, and unary calls are not to wait behind those.
  std::shared_ptr<v1::SessionService::Stub> StubForStream(const Line& line);
  // `context` is cancelled when the lines go. False: they are going. After true, End must follow as
  // the last thing that a call does (CallsUnderWay::Remove).
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
    Patience patience;
    Response response;
    size_t line = 0;
    size_t tried = 0;
    std::unique_ptr<grpc::ClientContext> context;
  };

  template <typename Response>
  void Try(const std::shared_ptr<Asking<Response>>& asking) {
    asking->context = std::make_unique<grpc::ClientContext>();
    asking->context->set_deadline(Deadline(asking->patience));
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
    if (IsWorthAnother(status, asking->patience) && ++asking->tried < lines_.size()) {
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

  static bool IsWorthAnother(const grpc::Status& status, const Patience& patience);
  static absl::Status ToStatus(const Line& line, const grpc::ClientContext& context,
                               const grpc::Status& status);
  std::chrono::system_clock::time_point Deadline(const Patience& patience) const;
  size_t Current();

  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  const absl::Duration call_deadline_;
  const ConnectionPoller poller_;
  std::vector<Line> lines_;
  CallsUnderWay calls_;
  Mutex mutex_;
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;
  // By broker: each stub has a connection of its own.
  std::map<std::string, std::vector<std::shared_ptr<v1::SessionService::Stub>>> for_streams_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
