#include "tests/bench/grpc_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// A byte that says whether the message is compressed, and its length in four.
constexpr size_t kMessageHeadBytes = 5;
constexpr size_t kReadBytes = 16 << 10;
// For the handshakes, and the deadline of a call.
constexpr int kLimitSeconds = 10;
constexpr char kGrpcTimeout[] = "10S";
// More than a run's answers on one connection, so that no window is told meanwhile.
constexpr int32_t kWindowBytes = 1 << 28;

const char* Chars(const uint8_t* bytes) { return reinterpret_cast<const char*>(bytes); }

nghttp2_nv Header(absl::string_view name, absl::string_view value) {
  const auto bytes = [](absl::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

absl::StatusOr<sockaddr_in> Parse(const std::string& address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  uint32_t port = 0;
  if (parts.size() != 2 || inet_pton(AF_INET, parts[0].c_str(), &to.sin_addr) != 1 ||
      !absl::SimpleAtoi(parts[1], &port) || port > 65'535) {
    return absl::InvalidArgumentError(absl::StrCat(address, ": give an IPv4 address and a port"));
  }
  to.sin_port = htons(static_cast<uint16_t>(port));
  return to;
}

}  // namespace

GrpcConnection::GrpcConnection(int socket, std::string address, std::string path)
    : socket_(socket), address_(std::move(address)), path_(std::move(path)) {}

GrpcConnection::~GrpcConnection() {
  if (socket_ >= 0) close(socket_);
}

absl::StatusOr<std::unique_ptr<GrpcConnection>> GrpcConnection::Open(
    const std::string& address, const SslContextPointer& context, const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_in to, Parse(address));
  std::unique_ptr<GrpcConnection> connection(
      new GrpcConnection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), address, path));
  const int on = 1;
  const timeval limit = {.tv_sec = kLimitSeconds, .tv_usec = 0};
  if (setsockopt(connection->socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      setsockopt(connection->socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
      setsockopt(connection->socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
      connect(connection->socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
    return connection->Gone("no connection");
  }
  RETURN_IF_ERROR(connection->Handshake(context));
  RETURN_IF_ERROR(connection->StartHttp2());
  const int flags = fcntl(connection->socket_, F_GETFL);
  if (fcntl(connection->socket_, F_SETFL, flags | O_NONBLOCK) != 0) {
    return connection->Gone("the socket does not take O_NONBLOCK");
  }
  return connection;
}

absl::Status GrpcConnection::Handshake(const SslContextPointer& context) {
  constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  ssl_.reset(SSL_new(context.get()));
  SSL_set_alpn_protos(ssl_.get(), kHttp2.data(), kHttp2.size());
  SSL_set_fd(ssl_.get(), socket_);
  SSL_set_read_ahead(ssl_.get(), 1);
  if (SSL_connect(ssl_.get()) != 1) {
    const char* reason = ERR_reason_error_string(ERR_get_error());
    return Gone(absl::StrCat("no TLS: ", reason == nullptr ? "the peer says nothing" : reason));
  }
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  if (absl::string_view(Chars(protocol), size) == "h2") return absl::OkStatus();
  return Gone("does not speak HTTP/2");
}

absl::Status GrpcConnection::StartHttp2() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, OnHeader);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, OnClose);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  session_.reset(session);
  const nghttp2_settings_entry no_push = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &no_push, 1);
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kWindowBytes);
  return Flush();
}

absl::Status GrpcConnection::Gone(absl::string_view why) const {
  return absl::UnavailableError(absl::StrCat(address_, ": ", why));
}

absl::Status GrpcConnection::Flush() {
  std::string bytes;
  for (;;) {
    const uint8_t* frames = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &frames);
    if (size < 0) return Gone(nghttp2_strerror(static_cast<int>(size)));
    if (size == 0) break;
    bytes.append(Chars(frames), static_cast<size_t>(size));
  }
  if (bytes.empty() || SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
                           static_cast<int>(bytes.size())) {
    return absl::OkStatus();
  }
  return Gone("the connection takes nothing");
}

absl::Status GrpcConnection::Call(absl::string_view request) {
  request_.assign(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) {
    request_ += static_cast<char>(request.size() >> shift);
  }
  request_.append(request.data(), request.size());
  sent_bytes_ = 0;
  data_.clear();
  ended_ = {};
  has_ended_ = false;
  const std::array<nghttp2_nv, 7> headers = {Header(":method", "POST"),
                                             Header(":scheme", "https"),
                                             Header(":path", path_),
                                             Header(":authority", address_),
                                             Header("te", "trailers"),
                                             Header("content-type", "application/grpc"),
                                             Header("grpc-timeout", kGrpcTimeout)};
  const nghttp2_data_provider body = {.source = {.ptr = nullptr}, .read_callback = OnSend};
  const int32_t stream = nghttp2_submit_request(session_.get(), nullptr, headers.data(),
                                                headers.size(), &body, nullptr);
  if (stream < 0) return Gone(nghttp2_strerror(stream));
  return Flush();
}

absl::StatusOr<std::optional<GrpcConnection::Ended>> GrpcConnection::Read() {
  std::array<uint8_t, kReadBytes> buffer;
  do {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      if (SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ) break;
      return Gone("the connection is gone");
    }
    const ssize_t taken =
        nghttp2_session_mem_recv(session_.get(), buffer.data(), static_cast<size_t>(got));
    if (taken < 0) return Gone(nghttp2_strerror(static_cast<int>(taken)));
  } while (SSL_has_pending(ssl_.get()) != 0);
  RETURN_IF_ERROR(Flush());
  if (!std::exchange(has_ended_, false)) return std::nullopt;
  if (data_.size() >= kMessageHeadBytes) ended_.response = data_.substr(kMessageHeadBytes);
  return std::move(ended_);
}

ssize_t GrpcConnection::OnSend(nghttp2_session* /*session*/, int32_t /*stream*/, uint8_t* buffer,
                               size_t size, uint32_t* flags, nghttp2_data_source* /*source*/,
                               void* self) {
  auto& connection = *static_cast<GrpcConnection*>(self);
  const size_t part =
      connection.request_.copy(reinterpret_cast<char*>(buffer), size, connection.sent_bytes_);
  connection.sent_bytes_ += part;
  if (connection.sent_bytes_ == connection.request_.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(part);
}

int GrpcConnection::OnHeader(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                             const uint8_t* name, size_t name_size, const uint8_t* value,
                             size_t value_size, uint8_t /*flags*/, void* self) {
  Ended& ended = static_cast<GrpcConnection*>(self)->ended_;
  const absl::string_view field(Chars(name), name_size);
  if (field == "grpc-status") ended.status.assign(Chars(value), value_size);
  if (field == "grpc-message") ended.message.assign(Chars(value), value_size);
  return 0;
}

int GrpcConnection::OnData(nghttp2_session* /*session*/, uint8_t /*flags*/, int32_t /*stream*/,
                           const uint8_t* data, size_t size, void* self) {
  static_cast<GrpcConnection*>(self)->data_.append(Chars(data), size);
  return 0;
}

int GrpcConnection::OnClose(nghttp2_session* /*session*/, int32_t /*stream*/, uint32_t code,
                            void* self) {
  auto& connection = *static_cast<GrpcConnection*>(self);
  connection.has_ended_ = true;
  if (code != NGHTTP2_NO_ERROR) connection.ended_.message = nghttp2_http2_strerror(code);
  return 0;
}

}  // namespace werkplek
