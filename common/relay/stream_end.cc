#include "common/relay/stream_end.h"

#include <boost/asio/write.hpp>
#include <utility>

namespace werkplek {

namespace asio = boost::asio;

LocalEnd::LocalEnd(asio::io_context& io, int descriptor)
    : socket_(io, asio::local::stream_protocol(), descriptor) {}

LocalEnd::LocalEnd(asio::local::stream_protocol::socket socket) : socket_(std::move(socket)) {}

void LocalEnd::Read(asio::mutable_buffer into, Done done) {
  socket_.async_read_some(asio::mutable_buffers_1(into), std::move(done));
}

void LocalEnd::Write(asio::const_buffer from, Done done) {
  asio::async_write(socket_, asio::const_buffers_1(from), std::move(done));
}

void LocalEnd::ShutdownWrite() {
  boost::system::error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

void LocalEnd::Close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace werkplek
