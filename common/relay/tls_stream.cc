#include "common/relay/tls_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cerrno>
#include <climits>
#include <utility>

#include "common/base/source.h"
#include "common/tls/ssl_context.h"

namespace werkplek {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a viewer that went would end the process.
int SocketBioWrite(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int descriptor = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t sent = send(descriptor, data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int SocketBioRead(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const int descriptor = static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  const ssize_t got = recv(descriptor, data, static_cast<size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long SocketBioControl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

int SocketBioCreate(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

BIO* NewSocketBio(int descriptor) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "werkplek socket");
    BIO_meth_set_write(made, SocketBioWrite);
    BIO_meth_set_read(made, SocketBioRead);
    BIO_meth_set_ctrl(made, SocketBioControl);
    BIO_meth_set_create(made, SocketBioCreate);
    return made;
  }();
  BIO* bio = BIO_new(method);
  // OpenSSL keeps a pointer for us; a number needs no place of its own.
  // NOLINTNEXTLINE(performance-no-int-to-ptr)
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(descriptor)));
  return bio;
}

void SetOption(int descriptor, int level, int option, int value) {
  setsockopt(descriptor, level, option, &value, sizeof(value));
}

}  // namespace

TlsStream::TlsStream(asio::ip::tcp::socket socket, const SslContextPointer& context, Role role)
    : socket_(std::move(socket)), ssl_(SSL_new(context.get())) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  BIO* bio = NewSocketBio(socket_.native_handle());
  SSL_set_bio(ssl_.get(), bio, bio);
  if (role == Role::kServer) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

error_code TlsStream::ErrorOf(int ssl_error) {
  if (ssl_error == SSL_ERROR_ZERO_RETURN) return asio::error::eof;
  broken_ = true;
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (ssl_error == SSL_ERROR_SYSCALL && code == 0) {
    return errno != 0 ? error_code(errno, boost::system::system_category())
                      : error_code(asio::ssl::error::stream_truncated);
  }
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return asio::ssl::error::stream_truncated;
  }
  return error_code(static_cast<int>(code), asio::error::get_ssl_category());
}

void TlsStream::Run(absl::AnyInvocable<int()> step, Done done, bool first) {
  error_code error = asio::error::operation_aborted;
  int result = 0;
  if (socket_.is_open()) {
    ERR_clear_error();
    errno = 0;
    result = step();
    const int state = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    if (state == SSL_ERROR_WANT_READ || state == SSL_ERROR_WANT_WRITE) {
      socket_.async_wait(
          state == SSL_ERROR_WANT_READ ? asio::socket_base::wait_read
                                       : asio::socket_base::wait_write,
          [this, step = std::move(step), done = std::move(done)](error_code waited) mutable {
            if (waited) {
              done(waited, 0);
            } else {
              Run(std::move(step), std::move(done), /*first=*/false);
            }
          });
      return;
    }
    error = state == SSL_ERROR_NONE ? error_code() : ErrorOf(state);
  }
  const size_t size = error ? 0 : static_cast<size_t>(result);
  if (!first) {
    done(error, size);
    return;
  }
  asio::post(socket_.get_executor(),
             [done = std::move(done), error, size]() mutable { done(error, size); });
}

void TlsStream::Handshake(absl::AnyInvocable<void(error_code)> done) {
  Run([this] { return SSL_do_handshake(ssl_.get()); },
      [done = std::move(done)](error_code error, size_t) mutable { done(error); }, true);
}

void TlsStream::Read(asio::mutable_buffer into, Done done) {
  const int size = static_cast<int>(std::min<size_t>(into.size(), INT_MAX));
  Run([this, data = into.data(), size] { return SSL_read(ssl_.get(), data, size); },
      std::move(done), true);
}

void TlsStream::Write(asio::const_buffer from, Done done) {
  WriteFrom(static_cast<const char*>(from.data()), from.size(), 0, std::move(done));
}

void TlsStream::WriteFrom(const char* data, size_t size, size_t written, Done done) {
  const int some = static_cast<int>(std::min<size_t>(size - written, INT_MAX));
  Run([this, data, written, some] { return SSL_write(ssl_.get(), data + written, some); },
      [this, data, size, written, done = std::move(done)](error_code error, size_t more) mutable {
        const size_t now = written + more;
        if (error || now == size) {
          done(error, now);
        } else {
          WriteFrom(data, size, now, std::move(done));
        }
      },
      true);
}

void TlsStream::ShutdownWrite() {
  if (broken_ || !socket_.is_open() || !SSL_is_init_finished(ssl_.get())) return;
  ERR_clear_error();
  // Tried once: a socket whose buffer is full at the end is cut by whoever waits for the other
  // side.
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsStream::Close() {
  error_code ignored;
  socket_.close(ignored);
}

absl::StatusOr<PeerCertificate> TlsStream::Peer() const { return PeerOf(ssl_.get()); }

void TuneSocket(asio::ip::tcp::socket& socket) {
  const int descriptor = socket.native_handle();
  SetOption(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  SetOption(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, 10);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  SetOption(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 2);
  SetOption(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, 20'000);
}

std::string PeerAddressOf(const asio::ip::tcp::socket& socket, std::string* source) {
  error_code error;
  const asio::ip::tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "";
  std::string address = peer.address().to_string(error);
  *source = SourceOf(address);
  // "fe80::1%eth0": which of our interfaces it came by is no part of its address.
  address.erase(std::min(address.find('%'), address.size()));
  return peer.address().is_v6() ? absl::StrCat("[", address, "]:", peer.port())
                                : absl::StrCat(address, ":", peer.port());
}

}  // namespace werkplek
