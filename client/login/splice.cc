#include "client/login/splice.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace werkplek {
namespace {

// One direction: what was read and not yet written.
struct Flow {
  int from;
  int to;
  std::array<char, 64 * 1024> buffer;
  size_t begin = 0;
  size_t end = 0;
  bool ended = false;

  bool Wants(bool reading) const { return reading ? !ended && begin == end : begin < end; }

  // False: the connection is broken.
  bool Read() {
    const ssize_t got = read(from, buffer.data(), buffer.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    begin = 0;
    end = static_cast<size_t>(got);
    if (got == 0) {
      ended = true;
      shutdown(to, SHUT_WR);
    }
    return true;
  }

  bool Write() {
    const ssize_t put = send(to, buffer.data() + begin, end - begin, MSG_NOSIGNAL);
    if (put < 0) return errno == EAGAIN || errno == EINTR;
    begin += static_cast<size_t>(put);
    return true;
  }
};

}  // namespace

void JoinSockets(int a, int b, int stop) {
  for (const int socket : {a, b}) fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
  Flow there{.from = a, .to = b, .buffer = {}};
  Flow back{.from = b, .to = a, .buffer = {}};
  const auto wanted = [](const Flow& reads, const Flow& writes) {
    return static_cast<short>((reads.Wants(true) ? POLLIN : 0) |
                              (writes.Wants(false) ? POLLOUT : 0));
  };
  while (!there.ended || !back.ended) {
    pollfd watched[3] = {
        {a, wanted(there, back), 0}, {b, wanted(back, there), 0}, {stop, POLLIN, 0}};
    // A side that has ended would report its hang-up without end.
    for (pollfd& one : watched) {
      if (one.events == 0) one.fd = -1;
    }
    if (poll(watched, 3, -1) < 0 && errno != EINTR) return;
    if (watched[2].revents != 0) return;
    constexpr short kReadable = POLLIN | POLLHUP | POLLERR;
    if ((watched[0].revents & kReadable) != 0 && there.Wants(true) && !there.Read()) return;
    if ((watched[1].revents & kReadable) != 0 && back.Wants(true) && !back.Read()) return;
    if ((watched[1].revents & (POLLOUT | POLLERR)) != 0 && there.Wants(false) && !there.Write()) {
      return;
    }
    if ((watched[0].revents & (POLLOUT | POLLERR)) != 0 && back.Wants(false) && !back.Write()) {
      return;
    }
  }
}

}  // namespace werkplek
