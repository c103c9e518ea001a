#include "tests/unit/common/program/systemd_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"

namespace werkplek {

SystemdSocket::SystemdSocket(const std::string& path)
    : path_(path), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    std::perror(path.c_str());
    std::abort();
  }
}

SystemdSocket::~SystemdSocket() { close(fd_); }

std::string SystemdSocket::Next(absl::Duration limit) {
  pollfd ready{fd_, POLLIN, 0};
  if (poll(&ready, 1, int(absl::ToInt64Milliseconds(limit))) != 1) return "";
  char buffer[1024];
  const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
  return got <= 0 ? "" : std::string(buffer, size_t(got));
}

bool SystemdSocket::Hears(const std::string& wanted, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  while (absl::Now() < deadline) {
    if (Next(deadline - absl::Now()) == wanted) return true;
  }
  return false;
}

}  // namespace werkplek
