#include "broker/peer/knock.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace werkplek {
namespace {

// A port of this machine, taken by a socket that listens or does not.
class Port {
 public:
  explicit Port(bool listens) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, size), 0);
    if (listens) EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, generic, &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  }
  ~Port() { close(socket_); }
  const std::string& address() const { return address_; }

 private:
  const int socket_;
  std::string address_;
};

bool BecomesRefused(Knock& knock) {
  const absl::Time until = absl::Now() + absl::Seconds(5);
  while (!knock.Refused() && absl::Now() < until) std::this_thread::yield();
  return knock.Refused();
}

TEST(Knock, IsRefusedWhereNobodyListens) {
  const Port port(/*listens=*/false);
  Knock knock(port.address());
  EXPECT_TRUE(BecomesRefused(knock));
  EXPECT_TRUE(knock.Refused());
}

TEST(Knock, IsNotRefusedWhereSomebodyListens) {
  const Port port(/*listens=*/true);
  Knock knock(port.address());
  EXPECT_FALSE(knock.Refused());
  // Nor by somebody who takes no connection any more: the queue is full, and nothing comes back.
  Knock second(port.address());
  Knock third(port.address());
  Knock fourth(port.address());
  for (Knock* one : {&knock, &second, &third, &fourth}) EXPECT_FALSE(one->Refused());
}

TEST(Knock, ANameIsNotLookedUp) {
  for (const char* address : {"broker.example:7444", "localhost:1", "", "127.0.0.1", ":1"}) {
    Knock knock(address);
    EXPECT_FALSE(knock.Refused()) << address;
  }
}

}  // namespace
}  // namespace werkplek
