#include "gateway/relay/host_dialer.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/relay/relay_channel.h"
#include "common/tls/ssl_context.h"

namespace werkplek {

namespace asio = boost::asio;

// Everything but construction runs on the dialer's thread.
class HostDialer::Loop {
 public:
  explicit Loop(TlsFiles own)
      : own_(std::move(own)), work_(asio::make_work_guard(io_)), thread_([this] { io_.run(); }) {
    pthread_setname_np(thread_.native_handle(), "host-dialer");
  }

  ~Loop() {
    asio::post(io_, [this] { Stop(); });
    work_.reset();
    thread_.join();
  }

  struct Wish {
    RelayTarget target;
    absl::Duration timeout;
    std::function<void(absl::StatusOr<int>)> opened;
  };

  void Post(Wish wish) {
    asio::post(io_, [this, wish = std::make_shared<Wish>(std::move(wish))] { Take(wish); });
  }

 private:
  struct Host {
    std::unique_ptr<FollowingContext> tls;
    size_t dialling = 0;
    std::deque<std::shared_ptr<Wish>> waiting;
  };

  void Take(const std::shared_ptr<Wish>& wish) {
    if (stopping_) return wish->opened(absl::CancelledError("the gateway is stopping"));
    Host& host = hosts_[wish->target.host];
    if (host.dialling < kAtOnce) return Dial(host, wish);
    if (host.waiting.size() >= kMaxWaiting) {
      return wish->opened(absl::ResourceExhaustedError("too many displays open at once there"));
    }
    host.waiting.push_back(wish);
  }

  absl::StatusOr<SslContextPointer> ContextFor(Host& host, const std::string& name) {
    if (host.tls == nullptr) {
      auto made = FollowingContext::Create(own_, [name](const TlsMaterial& own) {
        return MakeClientContext(own, ExpectPeer({v1::IDENTITY_HOST, name}));
      });
      if (!made.ok()) return made.status();
      host.tls = *std::move(made);
    }
    return host.tls->Get();
  }

  void Dial(Host& host, const std::shared_ptr<Wish>& wish) {
    const absl::StatusOr<SslContextPointer> tls = ContextFor(host, wish->target.host);
    if (!tls.ok()) return wish->opened(tls.status());
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      return wish->opened(
          absl::UnavailableError(absl::StrCat("cannot make a local socket: ", strerror(errno))));
    }
    ++host.dialling;
    auto channel = RelayChannel::Make(io_, RelayTls{*tls, nullptr}, &wish->target,
                                      std::make_unique<LocalEnd>(io_, pair[1]));
    running_.insert(channel);
    // The channel outlives its callbacks, and the callbacks do not hold it; they hold the target.
    channel->Start(
        wish->timeout,
        [this, wish, ours = pair[0]](const absl::Status& status) {
          if (status.ok()) {
            wish->opened(ours);
          } else {
            close(ours);
            wish->opened(status);
          }
          Dialled(wish->target.host);
        },
        [this, wish, key = channel.get()](bool) { running_.erase(key->shared_from_this()); });
  }

  // The next ones' turn, after what runs now; one that fails at once has nobody behind it.
  void Dialled(const std::string& name) {
    --hosts_[name].dialling;
    asio::post(io_, [this, name] {
      Host& host = hosts_[name];
      while (!stopping_ && !host.waiting.empty() && host.dialling < kAtOnce) {
        const std::shared_ptr<Wish> next = std::move(host.waiting.front());
        host.waiting.pop_front();
        Dial(host, next);
      }
    });
  }

  void Stop() {
    stopping_ = true;
    for (auto& [name, host] : hosts_) {
      for (const std::shared_ptr<Wish>& wish : std::exchange(host.waiting, {})) {
        wish->opened(absl::CancelledError("the gateway is stopping"));
      }
    }
    const auto running = running_;
    for (const auto& channel : running) channel->Cut();
  }

  const TlsFiles own_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  // Hosts are the broker's to name: as many as the fleet has.
  std::map<std::string, Host> hosts_;
  std::set<std::shared_ptr<RelayChannel>> running_;
  bool stopping_ = false;
  std::thread thread_;
};

HostDialer::HostDialer(TlsFiles own) : loop_(std::make_unique<Loop>(std::move(own))) {}
HostDialer::~HostDialer() = default;

void HostDialer::Dial(RelayTarget target, absl::Duration timeout,
                      std::function<void(absl::StatusOr<int>)> opened) {
  loop_->Post({std::move(target), timeout, std::move(opened)});
}

}  // namespace werkplek
