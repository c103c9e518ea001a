#include "common/program/self_probe.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/config/units.h"

namespace werkplek {
namespace {

struct Answered {
  Mutex mutex;
  CondVar changed;
  bool done ABSL_GUARDED_BY(mutex) = false;
};

// A wildcard cannot be connected to everywhere; its loopback can.
absl::string_view Reachable(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  if (host == "::") return "::1";
  return host;
}

// A connected, non-blocking socket, or -1 with errno.
int Connect(const std::string& host, int port, absl::Duration limit) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return -1;
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  int error = connect(fd, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd ready{fd, POLLOUT, 0};
    socklen_t size = sizeof(error);
    error = poll(&ready, 1, int(absl::ToInt64Milliseconds(limit))) == 1 ? 0 : ETIMEDOUT;
    if (error == 0) getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return fd;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

absl::Status ProbeLoop(Executor* executor, absl::Duration limit) {
  // Shared: the task may run long after this gave up.
  const auto answered = std::make_shared<Answered>();
  executor->Post([answered] {
    MutexLock lock(answered->mutex);
    answered->done = true;
    answered->changed.Signal();
  });
  const absl::Duration deadline = executor->Monotonic() + limit;
  MutexLock lock(answered->mutex);
  while (!answered->done) {
    const absl::Duration rest = deadline - executor->Monotonic();
    if (rest <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError(
          absl::StrCat("the loop ran nothing within ", DurationText(limit)));
    }
    answered->changed.WaitFor(answered->mutex, rest);
  }
  return absl::OkStatus();
}

absl::Status ProbeTls(const std::string& address, int port, const SslContextPointer& context,
                      absl::Duration limit) {
  ASSIGN_OR_RETURN(const HostPort listen, ParseHostPort(address));
  const std::string host(Reachable(listen.host));
  const auto failed = [&](absl::string_view why) {
    return absl::UnavailableError(absl::StrCat(host, ", port ", port, ": ", why));
  };
  const absl::Time deadline = absl::Now() + limit;
  const int fd = Connect(host, port, limit);
  if (fd < 0) return failed(std::strerror(errno));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  const std::unique_ptr<SSL, OpensslFree<SSL_free>> ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), fd);
  // gRPC takes HTTP/2 only.
  static const unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof(kHttp2));
  for (;;) {
    const int result = SSL_connect(ssl.get());
    if (result == 1) {
      // A word of goodbye, so that the port has nothing to complain of.
      SSL_shutdown(ssl.get());
      return absl::OkStatus();
    }
    const int want = SSL_get_error(ssl.get(), result);
    if (want != SSL_ERROR_WANT_READ && want != SSL_ERROR_WANT_WRITE) return failed(OpensslError());
    pollfd ready{fd, short(want == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT), 0};
    const int64_t rest = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (rest <= 0 || poll(&ready, 1, int(rest)) != 1) {
      return failed(absl::StrCat("no TLS handshake within ", DurationText(limit)));
    }
  }
}

absl::Status ProbeTls(const std::string& address, int port, const SslContextPointer& context,
                      absl::Duration limit, absl::FunctionRef<uint64_t()> turned_away) {
  const uint64_t before = turned_away();
  const absl::Status status = ProbeTls(address, port, context, limit);
  return turned_away() > before ? absl::OkStatus() : status;
}

}  // namespace werkplek
