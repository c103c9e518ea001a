#include "gateway/portal/portal_server.h"

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "common/base/monotonic.h"
#include "common/base/rare_log.h"
#include "common/base/status_macros.h"
#include "common/net/tcp_listener.h"
#include "gateway/portal/page_book.h"
#include "gateway/portal/portal_connection.h"
#include "gateway/portal/source_limits.h"

namespace werkplek {

namespace asio = boost::asio;

// Everything but construction runs on the portal's thread.
class PortalServer::Inside {
 public:
  Inside(PortalOptions options, PageBook pages, const Parts& parts)
      : options_(std::move(options)),
        pages_(std::move(pages)),
        tls_(parts.tls),
        displays_(parts.displays),
        metrics_(parts.metrics),
        source_limits_(options_.sign_ins_per_address, options_.requests_per_address, metrics_),
        io_(std::make_shared<asio::io_context>(1)),
        work_(asio::make_work_guard(*io_)) {
    owner_.parts = {io_,           parts.lines,         parts.dialer,
                    parts.metrics, options_.tell_again, options_.broker_pauses};
    owner_.limits = &source_limits_;
    owner_.pages = &pages_;
    owner_.origins = options_.origins;
    owner_.request_deadline = options_.request_deadline;
    owner_.idle_deadline = options_.idle_deadline;
    owner_.opened = [this](PortalConnection& connection) { return Opened(connection); };
    owner_.over = [this](const auto& connection) { Forget(connection); };
  }

  ~Inside() {
    asio::post(*io_, [this] {
      stopping_ = true;
      if (listener_ != nullptr) listener_->Close();
      const auto connections = connections_;
      for (const auto& connection : connections) connection->Abort();
      // Not to wait for browsers that owe an answer to the end of their displays.
      asio::post(*io_, [this] { io_->stop(); });
    });
    work_.reset();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Run() {
    ASSIGN_OR_RETURN(listener_,
                     TcpListener::Create(*io_, "portal", options_.addresses,
                                         [this](auto socket) { Take(std::move(socket)); }));
    listener_->Accept();
    thread_ = std::thread([this] { io_->run(); });
    pthread_setname_np(thread_.native_handle(), "portal");
    return absl::OkStatus();
  }

  const std::vector<int>& ports() const { return listener_->ports(); }
  uint64_t turned_away() const { return turned_away_; }

 private:
  void Take(asio::ip::tcp::socket socket) {
    if (stopping_) return;
    auto connection = std::make_shared<PortalConnection>(std::move(socket), tls_->Get(), &owner_);
    size_t& from_there = waiting_by_source_[connection->source()];
    if (waiting_ >= options_.max_waiting || from_there >= options_.max_waiting_per_address) {
      if (from_there == 0) waiting_by_source_.erase(connection->source());
      ++turned_away_;
      CountBeyondLimit(*metrics_, "connections");
      rare_log_.Warn(MonotonicNow(), "connection-refused",
                     {{"port", "portal"},
                      {"address", connection->source()},
                      {"reason", "too many connections"}});
      return;
    }
    ++from_there;
    ++waiting_;
    connections_.insert(connection);
    connection->Start();
  }

  bool Opened(PortalConnection& connection) {
    if (*displays_ >= options_.max_displays) return false;
    ++*displays_;
    StopsWaiting(connection);
    connection.displayed = true;
    return true;
  }

  void StopsWaiting(const PortalConnection& connection) {
    --waiting_;
    const auto count = waiting_by_source_.find(connection.source());
    if (--count->second == 0) waiting_by_source_.erase(count);
  }

  void Forget(const std::shared_ptr<PortalConnection>& connection) {
    if (connections_.erase(connection) == 0) return;
    if (connection->displayed) {
      --*displays_;
    } else {
      StopsWaiting(*connection);
    }
  }

  const PortalOptions options_;
  const PageBook pages_;
  FollowingContext* const tls_;
  std::atomic<uint32_t>* const displays_;
  Metrics* const metrics_;
  SourceLimits source_limits_;
  RareLog rare_log_;
  const std::shared_ptr<asio::io_context> io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  PortalConnection::Owner owner_;
  std::unique_ptr<TcpListener> listener_;
  std::set<std::shared_ptr<PortalConnection>> connections_;
  // Connections without a display.
  size_t waiting_ = 0;
  std::map<std::string, size_t> waiting_by_source_;
  bool stopping_ = false;
  std::atomic<uint64_t> turned_away_ = 0;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<PortalServer>> PortalServer::Start(PortalOptions options,
                                                                  const Parts& parts) {
  ASSIGN_OR_RETURN(PageBook pages, PageBook::Load(options.novnc));
  auto inside = std::make_unique<Inside>(std::move(options), std::move(pages), parts);
  RETURN_IF_ERROR(inside->Run());
  return std::unique_ptr<PortalServer>(new PortalServer(std::move(inside)));
}

PortalServer::PortalServer(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
PortalServer::~PortalServer() = default;

std::vector<int> PortalServer::ports() const { return inside_->ports(); }
uint64_t PortalServer::turned_away() const { return inside_->turned_away(); }

}  // namespace werkplek
