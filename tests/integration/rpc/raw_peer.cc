#include "tests/integration/rpc/raw_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// False when the time is over.
bool WaitReadable(int fd, absl::Time until) {
  const absl::Duration left = until - absl::Now();
  if (left <= absl::ZeroDuration()) return false;
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0;
}

}  // namespace

absl::StatusOr<RawSocket> RawSocket::Connect(int port, const std::string& source) {
  RawSocket made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.fd_ < 0) return absl::InternalError(absl::StrCat("socket: ", std::strerror(errno)));
  sockaddr_in from = {};
  from.sin_family = AF_INET;
  inet_pton(AF_INET, source.c_str(), &from.sin_addr);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  if (bind(made.fd_, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0 ||
      connect(made.fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    return absl::UnavailableError(absl::StrCat("connect: ", std::strerror(errno)));
  }
  return made;
}

RawSocket::RawSocket(RawSocket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

RawSocket::~RawSocket() {
  if (fd_ >= 0) close(fd_);
}

bool RawSocket::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawSocket::Read(size_t enough, absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  std::string got;
  char buffer[4096];
  while (got.size() < enough && WaitReadable(fd_, until)) {
    const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    got.append(buffer, static_cast<size_t>(size));
  }
  return got;
}

bool RawSocket::ClosesWithin(absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  char buffer[4096];
  while (WaitReadable(fd_, until)) {
    if (recv(fd_, buffer, sizeof buffer, 0) <= 0) return true;
  }
  return false;
}

absl::StatusOr<RawTls> RawTls::Connect(int port, const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  ASSIGN_OR_RETURN(RawSocket socket, RawSocket::Connect(port));
  const timeval patience = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  if (options.max_version != 0) SSL_CTX_set_max_proto_version(context, options.max_version);
  const unsigned char alpn[] = "\x02h2";
  SSL_CTX_set_alpn_protos(context, alpn, 3);
  if (!options.certificate.empty()) {
    SSL_CTX_use_certificate_chain_file(context, options.certificate.c_str());
    SSL_CTX_use_PrivateKey_file(context, options.key.c_str(), SSL_FILETYPE_PEM);
  }
  SslPointer ssl(SSL_new(context));
  SSL_CTX_free(context);
  SSL_set_fd(ssl.get(), socket.fd());
  if (SSL_connect(ssl.get()) != 1) return absl::UnavailableError(OpensslError());
  return RawTls(std::move(socket), std::move(ssl));
}

bool RawTls::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const int sent = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawTls::Read(size_t enough, absl::Duration timeout) {
  const absl::Time until = absl::Now() + timeout;
  std::string got;
  char buffer[4096];
  while (got.size() < enough) {
    if (SSL_pending(ssl_.get()) == 0 && !WaitReadable(socket_.fd(), until)) break;
    const int size = SSL_read(ssl_.get(), buffer, sizeof buffer);
    if (size <= 0) break;
    got.append(buffer, static_cast<size_t>(size));
  }
  return got;
}

std::string Http2Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  const auto size = static_cast<uint32_t>(payload.size());
  const uint8_t header[9] = {static_cast<uint8_t>(size >> 16),
                             static_cast<uint8_t>(size >> 8),
                             static_cast<uint8_t>(size),
                             type,
                             flags,
                             static_cast<uint8_t>(stream >> 24),
                             static_cast<uint8_t>(stream >> 16),
                             static_cast<uint8_t>(stream >> 8),
                             static_cast<uint8_t>(stream)};
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(header), sizeof header),
                      payload);
}

std::string Http2Preface() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Http2Frame(4, 0, 0, ""));
}

int64_t Http2Setting(absl::string_view payload, uint16_t parameter) {
  const auto byte = [&payload](size_t i) { return static_cast<uint8_t>(payload[i]); };
  for (size_t at = 0; at + 6 <= payload.size(); at += 6) {
    if (((byte(at) << 8) | byte(at + 1)) != parameter) continue;
    return (int64_t{byte(at + 2)} << 24) | (byte(at + 3) << 16) | (byte(at + 4) << 8) |
           byte(at + 5);
  }
  return -1;
}

}  // namespace werkplek
