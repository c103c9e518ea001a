#include "broker/peer/knock.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "common/config/units.h"

namespace werkplek {

Knock::Knock(const std::string& address) {
  const auto where = ParseHostPort(address);
  if (!where.ok()) return;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(where->host.c_str(), std::to_string(where->port).c_str(), &hints, &found) != 0) {
    return;
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  socket_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) return;
  refused_ = connect(socket_, found->ai_addr, found->ai_addrlen) != 0 && errno == ECONNREFUSED;
}

Knock::~Knock() {
  if (socket_ >= 0) close(socket_);
}

bool Knock::Refused() {
  if (refused_ || socket_ < 0) return refused_;
  pollfd ready{socket_, POLLOUT, 0};
  if (poll(&ready, 1, /*timeout=*/0) != 1) return false;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
  refused_ = error == ECONNREFUSED;
  return refused_;
}

}  // namespace werkplek
