#include "broker/rpc/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/log.h"
#include "common/base/monotonic.h"

namespace werkplek {
namespace {

constexpr int kBacklog = 1024;
constexpr int kExhaustedPauseMs = 50;
constexpr int kCrowdedPauseMs = 2;
// Unacknowledged data older than this ends the connection, so that peers that lost their cable go.
constexpr int kUserTimeoutMs = 30'000;

std::string ErrnoText(int error) { return std::strerror(error); }

// Splits "ADDRESS:PORT" and "[ADDRESS]:PORT".
bool Split(const std::string& address, std::string* host, std::string* port) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) return false;
  *host = address.substr(0, colon);
  *port = address.substr(colon + 1);
  if (host->front() == '[' && host->back() == ']') *host = host->substr(1, host->size() - 2);
  int number = 0;  // getaddrinfo takes any number and keeps its low 16 bits
  return absl::SimpleAtoi(*port, &number) && number >= 0 && number <= 65535;
}

int PortOf(int fd) {
  sockaddr_storage bound = {};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  if (bound.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
  return ntohs(reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port);
}

// As PeerAddress in caller.h gives it for gRPC's peer.
std::string AddressText(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return absl::StrCat(text, ":", ntohs(v4.sin_port));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, text, sizeof text);
    return absl::StrCat(text, ":", ntohs(v6.sin6_port));
  }
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return absl::StrCat("[", text, "]:", ntohs(v6.sin6_port));
}

void SetInt(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);  // a connection without it works too
}

}  // namespace

absl::StatusOr<ListenSocket> ListenSocket::Bind(const std::string& address) {
  std::string host;
  std::string port;
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (!Split(address, &host, &port) ||
      getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not ADDRESS:PORT with a numeric address"));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const auto failed = [&address](const char* call, int error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", call, ": ", ErrnoText(error)));
  };
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return failed("socket", errno);
  ListenSocket listening(fd, 0);
  // A restart must not wait for old connections; SO_REUSEPORT stays off, so a second server fails.
  SetInt(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, found->ai_addr, found->ai_addrlen) != 0) return failed("bind", errno);
  if (listen(fd, kBacklog) != 0) return failed("listen", errno);
  listening.port_ = PortOf(fd);
  return listening;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), port_(other.port_) {}

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) close(fd_);
}

Acceptor::Acceptor(std::string name, ListenSocket socket, std::unique_ptr<GrpcAcceptor> grpc,
                   ConnectionLimits* limits)
    : name_(std::move(name)),
      socket_(std::move(socket)),
      grpc_(std::move(grpc)),
      limits_(limits),
      stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Acceptor::~Acceptor() {
  Stop();
  if (stop_fd_ >= 0) close(stop_fd_);
}

void Acceptor::Start() {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

void Acceptor::Stop() {
  if (!thread_.joinable()) return;
  eventfd_write(stop_fd_, 1);
  thread_.join();
}

AcceptorCounts Acceptor::counts() const {
  return {.accepted = accepted_, .turned_away = turned_away_, .exhausted = exhausted_};
}

void Acceptor::Run() {
  bool wait = true;
  for (;;) {
    pollfd waits[2] = {{stop_fd_, POLLIN, 0}, {socket_.fd(), POLLIN, 0}};
    if (poll(waits, 2, wait ? -1 : 0) < 0 && errno != EINTR) {
      Log(Severity::kError, "accept-failed",
          {{"listener", name_}, {"error", "poll: " + ErrnoText(errno)}});
      poll(waits, 1, kExhaustedPauseMs);
    }
    if ((waits[0].revents & POLLIN) != 0) return;
    wait = !AcceptOne();
  }
}

bool Acceptor::AcceptOne() {
  if (limits_->Crowded(MonotonicNow())) {
    pollfd stop = {stop_fd_, POLLIN, 0};
    poll(&stop, 1, kCrowdedPauseMs);
    return true;
  }
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  const int fd = accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&address), &size,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return false;
    if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
      ++exhausted_;
      LogRarely("accept-exhausted", "", "no descriptors or memory; trying again");
      pollfd stop = {stop_fd_, POLLIN, 0};
      poll(&stop, 1, kExhaustedPauseMs);
    }
    return true;  // the connection went before it was taken, or the pause is over
  }
  const std::string peer = AddressText(address);
  switch (limits_->Open(peer, MonotonicNow())) {
    case Admission::kTooMany:
      TurnAway(fd, peer, "too many connections that have not shown who they are");
      return true;
    case Admission::kTooManyOfSource:
      TurnAway(fd, peer, "too many connections of this address that have not shown who they are");
      return true;
    case Admission::kAdmitted:
      break;
  }
  SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  SetInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  ++accepted_;
  GrpcAcceptor::NewConnectionParameters connection;
  connection.listener_fd = socket_.fd();
  connection.fd = fd;
  grpc_->HandleNewConnection(&connection);  // owns the descriptor from here
  return true;
}

void Acceptor::TurnAway(int fd, const std::string& peer, const char* reason) {
  ++turned_away_;
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(fd);
  LogRarely("connection-refused", peer, reason);
}

void Acceptor::LogRarely(const char* event, const std::string& peer, const char* reason) {
  rare_log_.Warn(MonotonicNow(), event, {{"listener", name_}, {"peer", peer}, {"reason", reason}});
}

}  // namespace werkplek
