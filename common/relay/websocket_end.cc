#include "common/relay/websocket_end.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket.hpp>
#include <type_traits>
#include <utility>

#include "common/relay/relay_head.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

// What Beast asks of a stream, over a TlsStream. Takes the first buffer of a sequence, which the
// concept allows.
class TlsAsyncStream {
 public:
  using executor_type = asio::ip::tcp::socket::executor_type;

  explicit TlsAsyncStream(std::unique_ptr<TlsStream> stream) : stream_(std::move(stream)) {}
  executor_type get_executor() { return stream_->socket().get_executor(); }

  template <typename Buffers, typename Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    asio::mutable_buffer first;
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
         ++at) {
      if (first.size() == 0) first = *at;
    }
    return asio::async_initiate<Handler, void(error_code, size_t)>(
        [this, first](auto&& completion) {
          stream_->Read(first, std::forward<decltype(completion)>(completion));
        },
        handler);
  }

  template <typename Buffers, typename Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    asio::const_buffer first;
    for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
         ++at) {
      if (first.size() == 0) first = *at;
    }
    return asio::async_initiate<Handler, void(error_code, size_t)>(
        [this, first](auto&& completion) {
          stream_->Write(first, std::forward<decltype(completion)>(completion));
        },
        handler);
  }

  TlsStream& stream() { return *stream_; }

 private:
  std::unique_ptr<TlsStream> stream_;
};

// Beast finds these by argument-dependent lookup.
void beast_close_socket(TlsAsyncStream& stream) { stream.stream().Close(); }

template <typename Handler>
void async_teardown(beast::role_type, TlsAsyncStream& stream, Handler&& handler) {
  stream.stream().ShutdownWrite();
  asio::post(stream.get_executor(),
             [handler = std::forward<Handler>(handler)]() mutable { handler(error_code()); });
}

constexpr absl::Duration kPingAfter = absl::Seconds(20);

}  // namespace

class WebSocketEnd::Parts {
 public:
  explicit Parts(std::unique_ptr<TlsStream> stream) : socket(std::move(stream)) {}
  websocket::stream<TlsAsyncStream, /*deflateSupported=*/false> socket;
  bool closing = false;
};

WebSocketEnd::WebSocketEnd(std::unique_ptr<TlsStream> stream)
    : parts_(std::make_shared<Parts>(std::move(stream))) {
  websocket::stream_base::timeout timeout;
  timeout.handshake_timeout = std::chrono::seconds(5);
  // Pings go out when half of this has passed in silence.
  timeout.idle_timeout = absl::ToChronoSeconds(2 * kPingAfter);
  timeout.keep_alive_pings = true;
  parts_->socket.set_option(timeout);
  parts_->socket.set_option(websocket::stream_base::decorator([](websocket::response_type& head) {
    head.set(beast::http::field::sec_websocket_protocol, kRelaySubprotocol);
  }));
  parts_->socket.binary(true);
  parts_->socket.read_message_max(kMaxMessageBytes);
}

WebSocketEnd::~WebSocketEnd() { Close(); }

void WebSocketEnd::Accept(const beast::http::request<beast::http::empty_body>& request,
                          absl::AnyInvocable<void(error_code)> done) {
  parts_->socket.async_accept(
      request, [parts = parts_, done = std::move(done)](error_code error) mutable { done(error); });
}

void WebSocketEnd::Read(asio::mutable_buffer into, Done done) {
  parts_->socket.async_read_some(
      asio::mutable_buffers_1(into),
      [parts = parts_, done = std::move(done)](error_code error, size_t size) mutable {
        if (error == websocket::error::closed) error = asio::error::eof;
        // Text frames are not for displays.
        if (!error && parts->socket.got_text()) error = websocket::error::bad_opcode;
        done(error, size);
      });
}

void WebSocketEnd::Write(asio::const_buffer from, Done done) {
  parts_->socket.async_write(asio::const_buffers_1(from),
                             [parts = parts_, done = std::move(done)](
                                 error_code error, size_t size) mutable { done(error, size); });
}

void WebSocketEnd::ShutdownWrite() {
  if (parts_->closing) return;
  parts_->closing = true;
  parts_->socket.async_close(websocket::close_code::normal, [parts = parts_](error_code) {});
}

void WebSocketEnd::Close() { parts_->socket.next_layer().stream().Close(); }

}  // namespace werkplek
