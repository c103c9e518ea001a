// Unary gRPC calls on one mTLS connection, with nghttp2 in place of gRPC's own client.
//
// The load shares the processors with what it measures, and gRPC's client costs nearly as much
// for a call as its server. This one sends such frames for half of it (RFC 9113, and gRPC's "gRPC
// over HTTP2").
#pragma once

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tls/certificate.h"

namespace werkplek {

// One call at a time. Thread-compatible.
class GrpcConnection {
 public:
  // How a call ended.
  struct Ended {
    // "grpc-status" and "grpc-message" as they came; the status is "0" for success, and empty when
    // the stream was closed without one; the message is then HTTP/2's reason.
    std::string status;
    std::string message;
    // The response message, serialized.
    std::string response;
  };

  // Connects to "127.0.0.1:PORT" and shakes hands; blocks for that time, at most ten seconds for
  // each answer, and not afterwards. `path` is the method that is called,
  // "/werkplek.v1.SessionService/SignIn". INVALID_ARGUMENT: the address is none. UNAVAILABLE: the
  // peer cannot be reached, is not whom `context` accepts, or does not speak HTTP/2.
  static absl::StatusOr<std::unique_ptr<GrpcConnection>> Open(const std::string& address,
                                                              const SslContextPointer& context,
                                                              const std::string& path);
  ~GrpcConnection();
  GrpcConnection(const GrpcConnection&) = delete;
  GrpcConnection& operator=(const GrpcConnection&) = delete;

  // Readable when Read has something to do.
  int descriptor() const { return socket_; }

  // Sends one call with a deadline of ten seconds. UNAVAILABLE: the connection is gone.
  absl::Status Call(absl::string_view request);
  // Reads what has arrived. Nothing: the call has not ended yet. UNAVAILABLE: the connection is
  // gone.
  absl::StatusOr<std::optional<Ended>> Read();

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  GrpcConnection(int socket, std::string address, std::string path);
  absl::Status Handshake(const SslContextPointer& context);
  absl::Status StartHttp2();
  // Sends all frames that wait, in one write.
  absl::Status Flush();
  absl::Status Gone(absl::string_view why) const;

  // Of nghttp2; `self` is the connection.
  static ssize_t OnSend(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size,
                        uint32_t* flags, nghttp2_data_source* source, void* self);
  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* self);
  static int OnData(nghttp2_session* session, uint8_t flags, int32_t stream, const uint8_t* data,
                    size_t size, void* self);
  static int OnClose(nghttp2_session* session, int32_t stream, uint32_t code, void* self);

  const int socket_;
  const std::string address_;
  const std::string path_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  // What of the request is still to be sent, with its five bytes of head.
  std::string request_;
  size_t sent_bytes_ = 0;
  // The response as it came: five bytes of head, then the message.
  std::string data_;
  Ended ended_;
  bool has_ended_ = false;
};

}  // namespace werkplek
