// Keeps a process's gRPC connections going while nobody is in a call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <thread>

namespace werkplek {

// gRPC's synchronous API moves bytes only on the threads that wait for an answer: a handshake that
// began in a pause between two calls would stand still until the server gives it up, again and
// again. One of these, as long as it lives, serves all channels of the process: gRPC's poller on
// Linux (epoll1) has one set of sockets for all of its queues.
class ConnectionPoller {
 public:
  ConnectionPoller();
  ~ConnectionPoller();
  ConnectionPoller(const ConnectionPoller&) = delete;
  ConnectionPoller& operator=(const ConnectionPoller&) = delete;

 private:
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

}  // namespace werkplek
