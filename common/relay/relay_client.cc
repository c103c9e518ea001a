#include "common/relay/relay_client.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <future>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"
#include "common/relay/relay_channel.h"
#include "common/relay/relay_head.h"
#include "common/tls/ssl_context.h"

namespace werkplek {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;

namespace {

constexpr size_t kViewerBytes = 16;
constexpr absl::Duration kListenTimeout = absl::Seconds(15);
// A viewer that opens more than this has gone astray.
constexpr size_t kMaxChannels = 16;

absl::Status ErrnoStatus(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

}  // namespace

// Everything but construction runs on the client's thread.
class RelayClient::Loop {
 public:
  Loop(RelayTls tls, RelayTarget target)
      : tls_(std::move(tls)),
        target_(std::move(target)),
        work_(asio::make_work_guard(io_)),
        acceptor_(io_),
        thread_([this] { io_.run(); }) {
    pthread_setname_np(thread_.native_handle(), "relay-client");
  }

  ~Loop() {
    asio::post(io_, [this] { Stop(); });
    work_.reset();
    thread_.join();
    if (!path_.empty()) unlink(path_.c_str());
  }

  absl::StatusOr<int> Open(absl::Duration timeout) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      return ErrnoStatus("cannot make a local socket");
    }
    auto opened = std::make_shared<std::promise<absl::Status>>();
    asio::post(io_, [this, ours = pair[1], timeout, opened] {
      OpenChannel(
          std::make_unique<LocalEnd>(io_, ours), timeout,
          [opened](absl::Status status) { opened->set_value(std::move(status)); }, nullptr);
    });
    const absl::Status status = opened->get_future().get();
    if (status.ok()) return pair[0];
    close(pair[0]);
    return status;
  }

  absl::Status Listen(const std::string& path, std::function<void(const absl::Status&)> ended) {
    auto done = std::make_shared<std::promise<absl::Status>>();
    asio::post(io_, [this, path, ended = std::move(ended), done]() mutable {
      done->set_value(DoListen(path, std::move(ended)));
    });
    return done->get_future().get();
  }

  int channels() const { return open_; }
  bool gateway_lost() const { return gateway_lost_; }

 private:
  absl::Status DoListen(const std::string& path, std::function<void(const absl::Status&)> ended) {
    if (acceptor_.is_open()) return absl::FailedPreconditionError("the client listens already");
    sockaddr_un unused;
    if (path.empty() || path.size() >= sizeof(unused.sun_path)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": not a path for a local socket"));
    }
    error_code error;
    acceptor_.open(stream_protocol(), error);
    // The mode is the descriptor's until it is bound: nobody else gets in in between.
    if (!error && fchmod(acceptor_.native_handle(), 0600) != 0) return ErrnoStatus(path);
    if (!error) acceptor_.bind(stream_protocol::endpoint(path), error);
    if (!error) path_ = path;
    if (!error) acceptor_.listen(kMaxChannels, error);
    if (error) {
      acceptor_.close();
      return absl::UnavailableError(absl::StrCat(path, ": ", error.message()));
    }
    ended_ = std::move(ended);
    Accept();
    return absl::OkStatus();
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, stream_protocol::socket socket) {
      if (error) return;
      if (running_.size() < kMaxChannels) {
        OpenChannel(
            std::make_unique<LocalEnd>(std::move(socket)), kListenTimeout,
            [this](const absl::Status& status) {
              if (!status.ok()) Tell(status);
            },
            [this] {
              if (open_ > 0) return;
              Tell(gateway_lost_ ? absl::AbortedError("the gateway was lost") : absl::OkStatus());
            });
      }
      Accept();
    });
  }

  void OpenChannel(std::unique_ptr<LocalEnd> local, absl::Duration timeout,
                   std::function<void(absl::Status)> opened, std::function<void()> closed) {
    auto channel = RelayChannel::Make(io_, tls_, &target_, std::move(local));
    running_.insert(channel);
    // The channel outlives its callbacks, and the callbacks do not hold it.
    RelayChannel* key = channel.get();
    channel->Start(
        timeout,
        [this, opened = std::move(opened)](absl::Status status) {
          if (status.ok()) ++open_;
          opened(std::move(status));
        },
        [this, key, closed = std::move(closed)](bool was_open) {
          if (was_open) --open_;
          running_.erase(key->shared_from_this());
          if (was_open && closed && !stopping_) closed();
        },
        [this] { gateway_lost_ = true; });
  }

  void Tell(const absl::Status& status) {
    if (ended_ && !stopping_) ended_(status);
  }

  void Stop() {
    stopping_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    const auto running = running_;
    for (const auto& channel : running) channel->Cut();
  }

  const RelayTls tls_;
  const RelayTarget target_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  stream_protocol::acceptor acceptor_;
  std::string path_;
  std::function<void(const absl::Status&)> ended_;
  std::set<std::shared_ptr<RelayChannel>> running_;
  std::atomic<int> open_{0};
  std::atomic<bool> gateway_lost_{false};
  bool stopping_ = false;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<RelayClient>> RelayClient::Create(const TlsMaterial& own,
                                                                 RelayTarget target) {
  if (target.addresses.empty() && target.gateways.empty()) {
    return absl::InvalidArgumentError("no relay address");
  }
  for (const auto* list : {&target.addresses, &target.gateways}) {
    for (const std::string& address : *list) RETURN_IF_ERROR(ParseHostPort(address).status());
  }
  if (!IsPeerName(target.host)) return absl::InvalidArgumentError("no relay host");
  if (!IsPeerName(target.desktop)) return absl::InvalidArgumentError("no desktop");
  if (!IsUrlSafe(target.ticket.Reveal(), 128)) return absl::InvalidArgumentError("no ticket");
  if (target.viewer.empty()) target.viewer = HexEncode(RandomBytes(kViewerBytes));
  if (!IsUrlSafe(target.viewer, 64)) {
    return absl::InvalidArgumentError("viewer: 1 to 64 of [A-Za-z0-9_-]");
  }
  RelayTls tls;
  ASSIGN_OR_RETURN(tls.host, MakeClientContext(own, ExpectPeer({v1::IDENTITY_HOST, target.host})));
  ASSIGN_OR_RETURN(tls.gateway, MakeClientContext(own, ExpectIdentity({v1::IDENTITY_GATEWAY})));
  return std::unique_ptr<RelayClient>(
      new RelayClient(std::make_unique<Loop>(std::move(tls), std::move(target))));
}

RelayClient::RelayClient(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
RelayClient::~RelayClient() = default;

absl::StatusOr<int> RelayClient::Open(absl::Duration timeout) { return loop_->Open(timeout); }

absl::Status RelayClient::Listen(const std::string& path,
                                 std::function<void(const absl::Status&)> ended) {
  return loop_->Listen(path, std::move(ended));
}

bool RelayClient::gateway_lost() const { return loop_->gateway_lost(); }

int RelayClient::channels() const { return loop_->channels(); }

}  // namespace werkplek
