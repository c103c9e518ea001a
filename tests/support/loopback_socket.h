// Sockets on loopback for tests that speak by hand. Nothing waits longer than kTestDeadline.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace werkplek {

inline constexpr absl::Duration kTestDeadline = absl::Seconds(20);

// Reads until `size` bytes, the end, or the deadline.
inline std::string ReadFrom(int descriptor, size_t size) {
  std::string text;
  const absl::Time deadline = absl::Now() + kTestDeadline;
  while (text.size() < size && absl::Now() < deadline) {
    pollfd wait{descriptor, POLLIN, 0};
    if (poll(&wait, 1, 100) <= 0) continue;
    char buffer[65536];
    const ssize_t got =
        read(descriptor, buffer, std::min<size_t>(sizeof(buffer), size - text.size()));
    if (got <= 0) break;
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

inline void WriteTo(int descriptor, const std::string& text) {
  EXPECT_EQ(send(descriptor, text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

// The other side has ended, in order or by a reset, and nothing more is to read. False when it is
// silent until the deadline.
inline bool AtEnd(int descriptor) {
  pollfd wait{descriptor, POLLIN, 0};
  char byte = 0;
  return poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(kTestDeadline))) == 1 &&
         read(descriptor, &byte, 1) <= 0;
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Close();
    descriptor_ = std::exchange(other.descriptor_, -1);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (descriptor_ >= 0) close(std::exchange(descriptor_, -1));
  }
  int get() const { return descriptor_; }
  int Release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

// A port whose kernel accepts connections although nobody ever reads them, as that of a program
// that stands still.
class SilentPort {
 public:
  SilentPort() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(where);
    auto* const generic = reinterpret_cast<sockaddr*>(&where);
    EXPECT_EQ(bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    EXPECT_EQ(getsockname(listener_.get(), generic, &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(where.sin_port));
  }
  const std::string& address() const { return address_; }

 private:
  const Descriptor listener_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::string address_;
};

inline Descriptor ConnectTcp(int port) {
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(made.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
  const timeval timeout{20, 0};
  setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  return made;
}

}  // namespace werkplek
