#include "common/relay/relay_server.h"

#include <pthread.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/rare_log.h"
#include "common/base/status_macros.h"
#include "common/net/tcp_listener.h"
#include "common/relay/relay_connection.h"

namespace werkplek {

namespace asio = boost::asio;
using asio::ip::tcp;

class RelayServer::Parts : public std::enable_shared_from_this<RelayServer::Parts> {
 public:
  Parts(RelayOptions options, FollowingContext* tls, RelayHandlers handlers)
      : options_(std::move(options)),
        tls_(tls),
        handlers_(std::move(handlers)),
        work_(asio::make_work_guard(*io_)) {
    owner_.options = &options_;
    owner_.handlers = &handlers_;
    owner_.ask = [this](const std::shared_ptr<RelayConnection>& connection,
                        const RelayRequest& request) { Ask(connection, request); };
    owner_.let_in = [this](RelayConnection& connection) { StopsWaiting(connection); };
    owner_.over = [this](const std::shared_ptr<RelayConnection>& connection) {
      StopsWaiting(*connection);
      connections_.erase(connection->channel());
    };
  }

  absl::Status Listen();
  void Run();
  void Stop();
  std::vector<int> ports() const { return listener_->ports(); }
  uint64_t turned_away() const { return turned_away_; }
  void Cut(std::vector<uint64_t> channels);

 private:
  // What waits for its owner's answer, which may come, or be dropped, when the server has gone.
  struct Asked {
    std::shared_ptr<asio::io_context> io;
    // Goes before what it runs on.
    std::shared_ptr<RelayConnection> connection;
    std::atomic<bool> answered = false;
  };

  void Take(tcp::socket socket);
  void Ask(const std::shared_ptr<RelayConnection>& connection, const RelayRequest& request);
  void StopsWaiting(RelayConnection& connection);

  const RelayOptions options_;
  FollowingContext* const tls_;
  const RelayHandlers handlers_;
  RelayConnection::Owner owner_;
  // Shared with answers that are not there yet: what they hold uses it to the last.
  const std::shared_ptr<asio::io_context> io_ = std::make_shared<asio::io_context>(1);
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::unique_ptr<TcpListener> listener_;
  std::thread thread_;
  std::atomic<uint64_t> turned_away_ = 0;

  // The relay's thread only.
  bool stopping_ = false;
  uint64_t last_channel_ = 0;
  std::map<uint64_t, std::shared_ptr<RelayConnection>> connections_;
  std::map<std::string, size_t> waiting_by_source_;
  size_t waiting_ = 0;
  RareLog rare_log_;
};

absl::Status RelayServer::Parts::Listen() {
  ASSIGN_OR_RETURN(listener_,
                   TcpListener::Create(*io_, "relay", options_.addresses,
                                       [this](tcp::socket socket) { Take(std::move(socket)); }));
  return absl::OkStatus();
}

void RelayServer::Parts::Run() {
  listener_->Accept();
  thread_ = std::thread([this] { io_->run(); });
  pthread_setname_np(thread_.native_handle(), "relay");
}

void RelayServer::Parts::Stop() {
  asio::post(*io_, [this] {
    stopping_ = true;
    listener_->Close();
    const auto connections = connections_;
    for (const auto& [channel, connection] : connections) connection->Abort();
  });
  work_.reset();
  if (thread_.joinable()) thread_.join();
}

void RelayServer::Parts::Take(tcp::socket socket) {
  if (waiting_ >= options_.max_waiting ||
      connections_.size() >= options_.max_waiting + options_.max_channels) {
    ++turned_away_;
    rare_log_.Warn(MonotonicNow(), "relay-full", {{"waiting", absl::StrCat(waiting_)}});
    return;
  }
  auto connection = std::make_shared<RelayConnection>(*io_, std::move(socket), tls_->Get(),
                                                      ++last_channel_, &owner_);
  size_t& from_there = waiting_by_source_[connection->source()];
  if (from_there >= options_.max_waiting_per_address) {
    ++turned_away_;
    rare_log_.Warn(MonotonicNow(), "relay-full-for-address", {{"address", connection->source()}});
    return;
  }
  ++from_there;
  ++waiting_;
  connections_[connection->channel()] = connection;
  connection->Start();
}

void RelayServer::Parts::StopsWaiting(RelayConnection& connection) {
  if (!connection.waiting) return;
  connection.waiting = false;
  --waiting_;
  const auto found = waiting_by_source_.find(connection.source());
  if (found != waiting_by_source_.end() && --found->second == 0) waiting_by_source_.erase(found);
}

void RelayServer::Parts::Ask(const std::shared_ptr<RelayConnection>& connection,
                             const RelayRequest& request) {
  auto asked = std::make_shared<Asked>();
  asked->io = io_;
  asked->connection = connection;
  handlers_.authorize(request, [weak = weak_from_this(), asked](RelayVerdict verdict) {
    OwnedDescriptor display(verdict.display);
    if (asked->answered.exchange(true)) return;
    const std::shared_ptr<Parts> parts = weak.lock();
    if (parts == nullptr) return;
    asio::post(*parts->io_, [parts = parts.get(), connection = asked->connection,
                             verdict = std::move(verdict), display = std::move(display)]() mutable {
      if (!parts->stopping_) connection->OnVerdict(std::move(verdict), std::move(display));
    });
  });
}

void RelayServer::Parts::Cut(std::vector<uint64_t> channels) {
  asio::post(*io_, [this, channels = std::move(channels)] {
    for (const uint64_t channel : channels) {
      const auto found = connections_.find(channel);
      if (found == connections_.end()) continue;
      const std::shared_ptr<RelayConnection> connection = found->second;
      connection->Cut();
    }
  });
}

absl::StatusOr<std::unique_ptr<RelayServer>> RelayServer::Start(RelayOptions options,
                                                                FollowingContext* tls,
                                                                RelayHandlers handlers) {
  auto parts = std::make_shared<Parts>(std::move(options), tls, std::move(handlers));
  RETURN_IF_ERROR(parts->Listen());
  parts->Run();
  return std::unique_ptr<RelayServer>(new RelayServer(std::move(parts)));
}

RelayServer::RelayServer(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}

RelayServer::~RelayServer() { parts_->Stop(); }

std::vector<int> RelayServer::ports() const { return parts_->ports(); }
uint64_t RelayServer::turned_away() const { return parts_->turned_away(); }

void RelayServer::Cut(std::vector<uint64_t> channels) { parts_->Cut(std::move(channels)); }

}  // namespace werkplek
