#include "common/http/http_server.h"

#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/rare_log.h"
#include "common/base/source.h"
#include "common/base/status_macros.h"
#include "common/net/tcp_listener.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Error = boost::system::error_code;

// Asio's view of a context; shares it.
asio::ssl::context AsioContext(const SslContextPointer& context) {
  SSL_CTX_up_ref(context.get());
  return asio::ssl::context(context.get());
}

}  // namespace

// All members are used on the io thread only, but for Start and the destructor.
class HttpServer::Parts {
 public:
  Parts(HttpServerSettings settings, FollowingContext* context, HttpHandler handler)
      : settings_(std::move(settings)), context_(context), handler_(std::move(handler)) {}
  ~Parts();
  absl::Status Listen();
  int port() const { return listener_->ports().front(); }

 private:
  class Session;

  void Admit(Tcp::socket socket);
  void Forget(Session* session);

  const HttpServerSettings settings_;
  FollowingContext* const context_;
  const HttpHandler handler_;
  asio::io_context io_{1};
  std::unique_ptr<TcpListener> listener_;
  std::set<Session*> sessions_;
  std::map<std::string, size_t> by_source_;
  RareLog rare_log_;
  std::thread thread_;
};

// One connection; keeps itself alive through the handlers that wait.
class HttpServer::Parts::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Parts* parts, Tcp::socket socket, asio::ssl::context context, std::string address)
      : address(std::move(address)),
        parts_(parts),
        context_(std::move(context)),
        stream_(std::move(socket), context_),
        buffer_(parts->settings_.max_header_bytes + parts->settings_.max_body_bytes) {}
  ~Session() { parts_->Forget(this); }

  void Run() {
    // Set once: it bounds the whole exchange, not each step.
    beast::get_lowest_layer(stream_).expires_after(
        absl::ToChronoMilliseconds(parts_->settings_.request_limit));
    stream_.async_handshake(asio::ssl::stream_base::server,
                            [self = shared_from_this()](Error error) {
                              if (!error) self->Read();
                            });
  }

  void Close() { beast::get_lowest_layer(stream_).close(); }

  const std::string address;

 private:
  void Read() {
    parser_.emplace();
    parser_->header_limit(std::uint32_t(parts_->settings_.max_header_bytes));
    parser_->body_limit(parts_->settings_.max_body_bytes);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](Error error, size_t) { self->Answer(error); });
  }

  void Answer(Error error) {
    if (error == http::error::header_limit)
      return Write({431, "text/plain", "headers too large\n"});
    if (error == http::error::body_limit) return Write({413, "text/plain", "body too large\n"});
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      return Write({400, "text/plain", "not a request\n"});
    }
    if (error) return;
    const auto& message = parser_->get();
    // Beast takes a Content-Length beside a Transfer-Encoding for an error itself; two lengths,
    // too.
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.content_type = std::string(message[http::field::content_type]);
    request.body = message.body();
    request.address = address;
    Write(parts_->handler_(request));
  }

  void Write(const HttpResponse& response) {
    response_.result(unsigned(response.status));
    response_.version(11);
    response_.set(http::field::content_type, response.content_type);
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.body() = response.body;
    response_.keep_alive(false);
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](Error error, size_t) {
      if (!error) self->Finish();
    });
  }

  void Finish() {
    stream_.async_shutdown([self = shared_from_this()](Error) { self->Close(); });
  }

  Parts* const parts_;
  asio::ssl::context context_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  // Bounded: Beast's limits do not count a chunk's extension, nor what comes behind the last chunk.
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
};

HttpServer::Parts::~Parts() {
  asio::post(io_, [this] {
    listener_->Close();
    for (Session* session : sessions_) session->Close();
  });
  // Without anything left to wait for, the thread ends.
  if (thread_.joinable()) thread_.join();
}

absl::Status HttpServer::Parts::Listen() {
  ASSIGN_OR_RETURN(listener_,
                   TcpListener::Create(io_, settings_.name, {settings_.address},
                                       [this](Tcp::socket socket) { Admit(std::move(socket)); }));
  listener_->Accept();
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), settings_.name.substr(0, 15).c_str());
    io_.run();
  });
  return absl::OkStatus();
}

void HttpServer::Parts::Admit(Tcp::socket socket) {
  Error error;
  const Tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return;
  const std::string address = peer.address().to_string();
  const std::string source = SourceOf(address);
  if (sessions_.size() >= settings_.max_connections ||
      by_source_[source] >= settings_.max_connections_per_address) {
    if (by_source_[source] == 0) by_source_.erase(source);
    rare_log_.Warn(
        MonotonicNow(), "connection-refused",
        {{"port", settings_.name}, {"address", address}, {"reason", "too many connections"}});
    return;
  }
  auto session =
      std::make_shared<Session>(this, std::move(socket), AsioContext(context_->Get()), address);
  sessions_.insert(session.get());
  ++by_source_[source];
  session->Run();
}

void HttpServer::Parts::Forget(Session* session) {
  if (sessions_.erase(session) == 0) return;
  const auto count = by_source_.find(SourceOf(session->address));
  if (--count->second == 0) by_source_.erase(count);
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerSettings settings,
                                                              FollowingContext* context,
                                                              HttpHandler handler) {
  auto parts = std::make_unique<Parts>(std::move(settings), context, std::move(handler));
  RETURN_IF_ERROR(parts->Listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(parts)));
}

HttpServer::HttpServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpServer::~HttpServer() = default;
int HttpServer::port() const { return parts_->port(); }

}  // namespace werkplek
