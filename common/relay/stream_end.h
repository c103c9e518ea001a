// One end of a relayed connection: a byte stream with an orderly end in each direction.
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/error_code.hpp>

#include "absl/functional/any_invocable.h"

namespace werkplek {

// Belongs to one thread, that of its io_context. A callback is never called inside the call that
// took it; it must keep the end's owner alive. At most one Read and one Write at a time.
class StreamEnd {
 public:
  using Done = absl::AnyInvocable<void(boost::system::error_code, size_t)>;

  virtual ~StreamEnd() = default;

  // Reads at least one byte. boost::asio::error::eof: the other side ended in order.
  virtual void Read(boost::asio::mutable_buffer into, Done done) = 0;
  // Writes everything.
  virtual void Write(boost::asio::const_buffer from, Done done) = 0;
  // Tells the other side that nothing more comes; reading goes on. Not while a Write is under way.
  virtual void ShutdownWrite() = 0;
  // What is under way ends with an error. Idempotent.
  virtual void Close() = 0;
};

// A connected local socket. Owns the descriptor.
class LocalEnd : public StreamEnd {
 public:
  LocalEnd(boost::asio::io_context& io, int descriptor);
  explicit LocalEnd(boost::asio::local::stream_protocol::socket socket);

  void Read(boost::asio::mutable_buffer into, Done done) override;
  void Write(boost::asio::const_buffer from, Done done) override;
  void ShutdownWrite() override;
  void Close() override;

 private:
  boost::asio::local::stream_protocol::socket socket_;
};

}  // namespace werkplek
