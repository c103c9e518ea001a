// TLS over a TCP socket, with ends that are told apart: after the other side's close_notify we may
// still write, and the other way round (RFC 8446, section 6.1). Boost's ssl::stream cannot.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/relay/stream_end.h"
#include "common/tls/certificate.h"

namespace werkplek {

class TlsStream : public StreamEnd {
 public:
  enum class Role { kClient, kServer };

  TlsStream(boost::asio::ip::tcp::socket socket, const SslContextPointer& context, Role role);

  void Handshake(absl::AnyInvocable<void(boost::system::error_code)> done);
  // boost::asio::ssl::error::stream_truncated: the connection ended without close_notify.
  void Read(boost::asio::mutable_buffer into, Done done) override;
  void Write(boost::asio::const_buffer from, Done done) override;
  void ShutdownWrite() override;
  void Close() override;

  // Who the other side is, after the handshake.
  absl::StatusOr<PeerCertificate> Peer() const;
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  struct SslFree {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  // Calls `step` until it neither wants to read nor to write, waiting in between; `first` says that
  // no callback may come from inside the caller's call.
  void Run(absl::AnyInvocable<int()> step, Done done, bool first);
  boost::system::error_code ErrorOf(int ssl_error);
  void WriteFrom(const char* data, size_t size, size_t written, Done done);

  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<SSL, SslFree> ssl_;
  // OpenSSL forbids a close_notify after a fatal error.
  bool broken_ = false;
};

// Notices within about 20 s that the other side is gone without a word, and sends at once.
void TuneSocket(boost::asio::ip::tcp::socket& socket);

// "192.0.2.7:51234", and in `source` whom it counts as (SourceOf); empty when the peer has gone.
std::string PeerAddressOf(const boost::asio::ip::tcp::socket& socket, std::string* source);

}  // namespace werkplek
