// A TlsStream as Beast wants its streams.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/role.hpp>
#include <utility>

#include "common/relay/tls_stream.h"

namespace werkplek {

// Does not own the stream. Takes the first buffer of a sequence that is not empty, which the
// concept allows.
class TlsAsyncStream {
 public:
  using executor_type = boost::asio::ip::tcp::socket::executor_type;

  explicit TlsAsyncStream(TlsStream* stream) : stream_(stream) {}
  executor_type get_executor() { return stream_->socket().get_executor(); }

  template <typename Buffers, typename Handler>
  auto async_read_some(const Buffers& buffers, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(boost::system::error_code, size_t)>(
        [this, first = First<boost::asio::mutable_buffer>(buffers)](auto&& completion) {
          stream_->Read(first, std::forward<decltype(completion)>(completion));
        },
        handler);
  }

  template <typename Buffers, typename Handler>
  auto async_write_some(const Buffers& buffers, Handler&& handler) {
    return boost::asio::async_initiate<Handler, void(boost::system::error_code, size_t)>(
        [this, first = First<boost::asio::const_buffer>(buffers)](auto&& completion) {
          stream_->Write(first, std::forward<decltype(completion)>(completion));
        },
        handler);
  }

  TlsStream& stream() { return *stream_; }

 private:
  template <typename Buffer, typename Buffers>
  static Buffer First(const Buffers& buffers) {
    Buffer first;
    for (auto at = boost::asio::buffer_sequence_begin(buffers);
         at != boost::asio::buffer_sequence_end(buffers); ++at) {
      if (first.size() == 0) first = *at;
    }
    return first;
  }

  TlsStream* stream_;
};

// Beast finds these by argument-dependent lookup.
inline void beast_close_socket(TlsAsyncStream& stream) { stream.stream().Close(); }

template <typename Handler>
void async_teardown(boost::beast::role_type, TlsAsyncStream& stream, Handler&& handler) {
  stream.stream().ShutdownWrite();
  boost::asio::post(stream.get_executor(), [handler = std::forward<Handler>(handler)]() mutable {
    handler(boost::system::error_code());
  });
}

}  // namespace werkplek
