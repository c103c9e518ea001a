#include "gateway/portal/portal_server.h"

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/relay/listener.h"
#include "gateway/portal/page_book.h"
#include "gateway/portal/portal_connection.h"

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
        io_(std::make_shared<asio::io_context>(1)),
        work_(asio::make_work_guard(*io_)) {
    owner_.parts = {io_, parts.lines, parts.dialer, parts.metrics};
    owner_.pages = &pages_;
    owner_.origins = options_.origins;
    owner_.request_deadline = options_.request_deadline;
    owner_.begin_display = [this] { return BeginDisplay(); };
    owner_.over = [this](const auto& connection, bool displayed) { Forget(connection, displayed); };
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
    ASSIGN_OR_RETURN(listener_, Listener::Create(*io_, "portal", options_.addresses,
                                                 [this](auto socket) { Take(std::move(socket)); }));
    listener_->Accept();
    thread_ = std::thread([this] { io_->run(); });
    pthread_setname_np(thread_.native_handle(), "portal");
    return absl::OkStatus();
  }

  const std::vector<int>& ports() const { return listener_->ports(); }

 private:
  void Take(asio::ip::tcp::socket socket) {
    if (stopping_) return;
    auto connection = std::make_shared<PortalConnection>(std::move(socket), tls_->Get(), &owner_);
    size_t& from_there = by_source_[connection->source()];
    if (connections_.size() >= options_.max_connections ||
        from_there >= options_.max_connections_per_address) {
      if (from_there == 0) by_source_.erase(connection->source());
      Log(Severity::kWarning, "connection-refused",
          {{"port", "portal"},
           {"address", connection->source()},
           {"reason", "too many connections"}});
      return;
    }
    ++from_there;
    connections_.insert(connection);
    connection->Start();
  }

  bool BeginDisplay() {
    if (*displays_ >= options_.max_displays) return false;
    ++*displays_;
    return true;
  }

  void Forget(const std::shared_ptr<PortalConnection>& connection, bool displayed) {
    if (displayed) --*displays_;
    if (connections_.erase(connection) == 0) return;
    const auto count = by_source_.find(connection->source());
    if (--count->second == 0) by_source_.erase(count);
  }

  const PortalOptions options_;
  const PageBook pages_;
  FollowingContext* const tls_;
  std::atomic<uint32_t>* const displays_;
  const std::shared_ptr<asio::io_context> io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  PortalConnection::Owner owner_;
  std::unique_ptr<Listener> listener_;
  std::set<std::shared_ptr<PortalConnection>> connections_;
  std::map<std::string, size_t> by_source_;
  bool stopping_ = false;
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

}  // namespace werkplek
