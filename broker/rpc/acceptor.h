// Our own accept loop in front of gRPC.
//
// gRPC 1.51's listener never accepts again once accept4 failed with EMFILE (CVE-2023-4785), and it
// lets two servers share a port. This one owns its socket, backs off and tries again, and turns
// away connections beyond the limits before gRPC spends anything on them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "broker/rpc/connection_limits.h"
#include "common/base/rare_log.h"
#include "grpcpp/server_builder.h"

namespace werkplek {

// A listening TCP socket. Closed by the destructor.
class ListenSocket {
 public:
  // `address` is "ADDRESS:PORT" with a numeric address ("127.0.0.1:0", "[::]:7443"); port 0 takes a
  // free one. INVALID_ARGUMENT: not an address. UNAVAILABLE: it cannot be bound; names the address
  // and why.
  static absl::StatusOr<ListenSocket> Bind(const std::string& address);
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  int fd() const { return fd_; }
  int port() const { return port_; }

 private:
  ListenSocket(int fd, int port) : fd_(fd), port_(port) {}
  int fd_;
  int port_;
};

struct AcceptorCounts {
  uint64_t accepted = 0;
  uint64_t turned_away = 0;
  // Times that accept4 failed for want of descriptors or memory.
  uint64_t exhausted = 0;
};

// Hands each admitted connection to gRPC, from a thread of its own. Start after the server started,
// Stop before it shuts down.
class Acceptor {
 public:
  using GrpcAcceptor = grpc::experimental::ExternalConnectionAcceptor;

  // `limits` outlives this. `name` is for logs and the thread, at most 15 bytes.
  Acceptor(std::string name, ListenSocket socket, std::unique_ptr<GrpcAcceptor> grpc,
           ConnectionLimits* limits);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void Start();
  // Idempotent. Connections in the backlog are reset when the socket closes.
  void Stop();

  int port() const { return socket_.port(); }
  AcceptorCounts counts() const;

 private:
  void Run();
  // One turn; true: try again at once, false: wait for the socket.
  bool AcceptOne();
  void TurnAway(int fd, const std::string& peer, const char* reason);
  void LogRarely(const char* event, const std::string& peer, const char* reason);

  const std::string name_;
  ListenSocket socket_;
  const std::unique_ptr<GrpcAcceptor> grpc_;
  ConnectionLimits* const limits_;
  int stop_fd_;
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> turned_away_{0};
  std::atomic<uint64_t> exhausted_{0};
  RareLog rare_log_;
  std::thread thread_;
};

}  // namespace werkplek
