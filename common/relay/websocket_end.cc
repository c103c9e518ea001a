#include "common/relay/websocket_end.h"

#include <boost/beast/websocket.hpp>
#include <utility>

#include "common/relay/relay_head.h"
#include "common/relay/tls_async_stream.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;

constexpr absl::Duration kPingAfter = absl::Seconds(20);

}  // namespace

class WebSocketEnd::Parts {
 public:
  explicit Parts(std::unique_ptr<TlsStream> given)
      : stream(std::move(given)), socket(stream.get()) {}
  const std::unique_ptr<TlsStream> stream;
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
  WriteMessage(/*text=*/false, from, std::move(done));
}

void WebSocketEnd::WriteText(asio::const_buffer from, Done done) {
  WriteMessage(/*text=*/true, from, std::move(done));
}

void WebSocketEnd::WriteMessage(bool text, asio::const_buffer from, Done done) {
  parts_->socket.text(text);
  parts_->socket.async_write(asio::const_buffers_1(from),
                             [parts = parts_, done = std::move(done)](
                                 error_code error, size_t size) mutable { done(error, size); });
}

void WebSocketEnd::ShutdownWrite() {
  if (parts_->closing) return;
  parts_->closing = true;
  parts_->socket.async_close(websocket::close_code::normal, [parts = parts_](error_code) {});
}

void WebSocketEnd::Close() { parts_->stream->Close(); }

}  // namespace werkplek
