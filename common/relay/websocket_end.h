// A WebSocket (RFC 6455) as a stream end: binary messages, no compression, masks required.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "common/relay/stream_end.h"
#include "common/relay/tls_stream.h"

namespace werkplek {

class WebSocketEnd : public StreamEnd {
 public:
  // Messages from the browser are at most this long; it is closed with 1009 otherwise.
  static constexpr size_t kMaxMessageBytes = 64 * 1024;

  explicit WebSocketEnd(std::unique_ptr<TlsStream> stream);
  ~WebSocketEnd() override;

  // Answers the upgrade.
  void Accept(const boost::beast::http::request<boost::beast::http::empty_body>& request,
              absl::AnyInvocable<void(boost::system::error_code)> done);

  void Read(boost::asio::mutable_buffer into, Done done) override;
  // One binary message.
  void Write(boost::asio::const_buffer from, Done done) override;
  // One text message, before the stream begins: what the display's owner has to say. As Write.
  void WriteText(boost::asio::const_buffer from, Done done);
  // Starts the closing handshake: a WebSocket has no half that stays open.
  void ShutdownWrite() override;
  void Close() override;

 private:
  void WriteMessage(bool text, boost::asio::const_buffer from, Done done);

  class Parts;
  // Shared with operations that Beast has under way.
  std::shared_ptr<Parts> parts_;
};

}  // namespace werkplek
