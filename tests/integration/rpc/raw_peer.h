// Peers that do not speak gRPC: silent sockets, plain bytes, hand-made TLS and HTTP/2 frames.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tls/certificate.h"
#include "common/tls/tls_files.h"

namespace werkplek {

// A connected TCP socket, closed with the object.
class RawSocket {
 public:
  // From `source` (any 127.x address) to 127.0.0.1:`port`.
  static absl::StatusOr<RawSocket> Connect(int port, const std::string& source = "127.0.0.1");
  RawSocket(RawSocket&& other) noexcept;
  RawSocket& operator=(RawSocket&&) = delete;
  ~RawSocket();

  int fd() const { return fd_; }
  // False when the other side is gone.
  bool Send(absl::string_view bytes);
  // What comes until `enough` bytes are there, the other side closes, or the time is over.
  std::string Read(size_t enough, absl::Duration timeout);
  // Whether the other side closes before the time is over; drops what comes until then.
  bool ClosesWithin(absl::Duration timeout);

 private:
  explicit RawSocket(int fd) : fd_(fd) {}
  int fd_;
};

// TLS over such a socket.
class RawTls {
 public:
  struct Options {
    // Shown when the paths are not empty.
    std::string certificate = "";
    std::string key = "";
    // 0: whatever OpenSSL takes.
    int max_version = 0;
  };
  // Ends its handshake, or says why not. The server's certificate is not judged. With TLS 1.3 a
  // server that does not like our certificate says so after our handshake: the first Read fails.
  static absl::StatusOr<RawTls> Connect(int port, const Options& options);
  RawTls(RawTls&&) = default;

  bool Send(absl::string_view bytes);
  // Empty when the other side closed or refused, or nothing came in time.
  std::string Read(size_t enough, absl::Duration timeout);

 private:
  using SslPointer = std::unique_ptr<SSL, OpensslFree<SSL_free>>;
  RawTls(RawSocket socket, SslPointer ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}
  RawSocket socket_;
  SslPointer ssl_;
};

// One HTTP/2 frame (RFC 9113, section 4.1).
std::string Http2Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload);

// The client's preface with an empty SETTINGS frame.
std::string Http2Preface();

// The value of a parameter in a SETTINGS payload; -1 when it is not there.
int64_t Http2Setting(absl::string_view payload, uint16_t parameter);

}  // namespace werkplek
