#include "client/login/loopback_door.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/api/exit_code.h"

namespace werkplek {

int64_t OwnerOfLoopbackSocket(absl::string_view proc_net_tcp, uint16_t local, uint16_t remote) {
  // 127.0.0.1 in the byte order of this machine, as the kernel prints it.
  const uint32_t loopback = htonl(INADDR_LOOPBACK);
  const std::string from = absl::StrFormat("%08X:%04X", loopback, local);
  const std::string to = absl::StrFormat("%08X:%04X", loopback, remote);
  for (absl::string_view line : absl::StrSplit(proc_net_tcp, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t owner = -1;
    if (fields.size() > 7 && fields[1] == from && fields[2] == to &&
        absl::SimpleAtoi(fields[7], &owner)) {
      return owner;
    }
  }
  return -1;
}

absl::StatusOr<std::unique_ptr<LoopbackDoor>> LoopbackDoor::Open() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (listener < 0 || bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener, 4) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    const absl::Status status = absl::ErrnoToStatus(errno, "cannot open a port on 127.0.0.1");
    if (listener >= 0) close(listener);
    return LocalProblem(status);
  }
  return std::unique_ptr<LoopbackDoor>(new LoopbackDoor(listener, ntohs(address.sin_port)));
}

LoopbackDoor::~LoopbackDoor() {
  if (listener_ >= 0) close(listener_);
}

bool LoopbackDoor::IsOwn(int connection) const {
  sockaddr_in peer = {};
  socklen_t size = sizeof(peer);
  if (getpeername(connection, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return false;
  std::ifstream file("/proc/net/tcp");
  std::stringstream text;
  text << file.rdbuf();
  return OwnerOfLoopbackSocket(text.str(), ntohs(peer.sin_port), port_) ==
         static_cast<int64_t>(geteuid());
}

absl::StatusOr<int> LoopbackDoor::Accept(absl::Duration timeout, int stop) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    pollfd watched[2] = {{listener_, POLLIN, 0}, {stop, POLLIN, 0}};
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left_ms <= 0) return absl::DeadlineExceededError("nobody connected in time");
    const int ready = poll(watched, 2, static_cast<int>(left_ms) + 1);
    if (ready < 0 && errno != EINTR) {
      return LocalProblem(absl::ErrnoToStatus(errno, "cannot wait for the viewer"));
    }
    if (ready > 0 && watched[1].revents != 0) return absl::CancelledError("interrupted");
    if (ready <= 0 || watched[0].revents == 0) continue;
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    if (!IsOwn(connection)) {
      close(connection);
      continue;
    }
    close(listener_);
    listener_ = -1;
    return connection;
  }
}

}  // namespace werkplek
