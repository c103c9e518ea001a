#include "tests/support/etcd/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

sockaddr_in Loopback(int port, const std::string& text = "127.0.0.1") {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool WriteAll(int fd, const char* data, ssize_t size) {
  while (size > 0) {
    const ssize_t written = send(fd, data, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (written <= 0) return false;
    data += written;
    size -= written;
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy(const std::string& target, const std::string& listens_on)
    : address_(listens_on), target_port_(std::atoi(target.substr(target.rfind(':') + 1).c_str())) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0, address_);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 || pipe(wake_) != 0) {
    std::abort();
  }
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

CuttingProxy::~CuttingProxy() {
  stopping_ = true;
  (void)!write(wake_[1], "x", 1);
  thread_.join();
  for (const Link& link : links_) {
    close(link.client);
    close(link.server);
  }
  for (int fd : {listener_, wake_[0], wake_[1]}) close(fd);
}

std::string CuttingProxy::endpoint() const { return absl::StrCat(address_, ":", port_); }

void CuttingProxy::SetMode(Mode mode) {
  bytes_in_ = 0;
  mode_ = mode;
  (void)!write(wake_[1], "x", 1);
}

bool CuttingProxy::Move(Link& link, bool from_client) {
  char buffer[65536];
  const ssize_t got = recv(from_client ? link.client : link.server, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  if (from_client) bytes_in_ += static_cast<size_t>(got);
  if (!from_client && mode_ == Mode::kLoseAnswers) return true;
  return WriteAll(from_client ? link.server : link.client, buffer, got);
}

void CuttingProxy::Run() {
  while (!stopping_) {
    const Mode mode = mode_;
    std::vector<pollfd> fds = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    const short wanted = mode == Mode::kHold ? 0 : POLLIN;
    for (const Link& link : links_) {
      fds.push_back({link.client, wanted, 0});
      fds.push_back({link.server, wanted, 0});
    }
    if (poll(fds.data(), fds.size(), mode == Mode::kHold ? 50 : -1) < 0 && errno != EINTR) return;
    if ((fds[0].revents & POLLIN) != 0) {
      char drained[64];
      (void)!read(wake_[0], drained, sizeof(drained));
      if (mode_ != mode) continue;
    }
    size_t at = 2;
    for (auto link = links_.begin(); link != links_.end(); at += 2) {
      bool alive = mode != Mode::kRefuse;
      if (alive && mode != Mode::kHold) {
        if (fds[at].revents != 0) alive = Move(*link, true);
        if (alive && fds[at + 1].revents != 0) alive = Move(*link, false);
      }
      if (alive) {
        ++link;
        continue;
      }
      close(link->client);
      close(link->server);
      link = links_.erase(link);
    }
    if ((fds[1].revents & POLLIN) == 0 || mode == Mode::kHold) continue;
    Link link;
    link.client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (link.client < 0) continue;
    link.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(target_port_);
    const bool connected =
        mode != Mode::kRefuse &&
        connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (connected) {
      links_.push_back(link);
    } else {
      close(link.client);
      close(link.server);
    }
  }
}

}  // namespace werkplek
