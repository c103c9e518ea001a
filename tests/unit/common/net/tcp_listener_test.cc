// TCP ports, their faults, and what happens when descriptors run out.
#include "common/net/tcp_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "tests/support/loopback_socket.h"

namespace werkplek {
namespace {

using boost::asio::ip::tcp;
using testing::HasSubstr;

// No descriptor can be made while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    // The lowest that is free.
    const int free = dup(STDERR_FILENO);
    EXPECT_GE(free, 0);
    close(free);
    const rlimit none{static_cast<rlim_t>(free), before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

class ListenerTest : public testing::Test {
 protected:
  ListenerTest() {
    SetLogSink([this](const std::string& line) { lines_.push_back(line); });
  }
  ~ListenerTest() override { SetLogSink(nullptr); }

  absl::StatusOr<std::unique_ptr<TcpListener>> Listen(const std::vector<std::string>& addresses) {
    return TcpListener::Create(io_, "test", addresses,
                               [this](tcp::socket socket) { taken_.push_back(std::move(socket)); });
  }
  std::unique_ptr<TcpListener> MustListen(const std::vector<std::string>& addresses) {
    auto listener = Listen(addresses);
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }
  bool RunUntil(const std::function<bool()>& reached) {
    const absl::Time deadline = absl::Now() + kTestDeadline;
    while (!reached() && absl::Now() < deadline) io_.run_one_for(std::chrono::milliseconds(100));
    return reached();
  }
  bool FailedToAccept() const {
    return std::any_of(lines_.begin(), lines_.end(), [](const std::string& line) {
      return line.find("event=accept-failed port=test") != std::string::npos;
    });
  }
  // All that there is to do is done, and nothing is waited for any more.
  bool ComesToRest() {
    io_.run_for(absl::ToChronoMilliseconds(kTestDeadline));
    return io_.stopped();
  }

  std::vector<std::string> lines_;
  boost::asio::io_context io_{1};
  std::vector<tcp::socket> taken_;
};

TEST_F(ListenerTest, EveryAddressTakesConnectionsOnceItAccepts) {
  const auto listener = MustListen({"127.0.0.1:0", "127.0.0.1:0"});
  ASSERT_EQ(listener->ports().size(), 2u);
  EXPECT_NE(listener->ports()[0], listener->ports()[1]);
  // They may come before it accepts.
  const Descriptor early = ConnectTcp(listener->ports()[1]);
  listener->Accept();
  ASSERT_TRUE(RunUntil([this] { return taken_.size() == 1; }));
  EXPECT_EQ(taken_[0].local_endpoint().port(), listener->ports()[1]);
  const Descriptor second = ConnectTcp(listener->ports()[0]);
  const Descriptor third = ConnectTcp(listener->ports()[1]);
  ASSERT_TRUE(RunUntil([this] { return taken_.size() == 3; }));
  WriteTo(taken_[0].native_handle(), "hello");
  EXPECT_EQ(ReadFrom(early.get(), 5), "hello");
}

TEST_F(ListenerTest, ATakenAddressIsNamed) {
  const auto first = MustListen({"127.0.0.1:0"});
  const std::string taken = absl::StrCat("127.0.0.1:", first->ports()[0]);
  const absl::Status status = Listen({"127.0.0.1:0", taken}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot listen on " + taken + ": "));
}

TEST_F(ListenerTest, WhatIsNoAddressIsRefused) {
  const std::pair<const char*, const char*> all[] = {
      {"localhost:0", "localhost:0: listen on an IP address"},
      {"127.0.0.1", "ADDRESS:PORT"},
      {"127.0.0.1:http", "ADDRESS:PORT"},
      {"", "ADDRESS:PORT"},
  };
  for (const auto& [bad, complaint] : all) {
    const absl::Status status = Listen({"127.0.0.1:0", bad}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(complaint));
  }
  const absl::Status none = Listen({}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(none)) << none;
  EXPECT_THAT(std::string(none.message()), HasSubstr("needs an address"));
}

TEST_F(ListenerTest, AfterCloseNothingComes) {
  const auto listener = MustListen({"127.0.0.1:0", "127.0.0.1:0"});
  const Descriptor waiting = ConnectTcp(listener->ports()[0]);
  listener->Accept();
  listener->Close();
  EXPECT_TRUE(ComesToRest());
  EXPECT_TRUE(taken_.empty());
  EXPECT_TRUE(AtEnd(waiting.get()));
  // The port is free again.
  MustListen({absl::StrCat("127.0.0.1:", listener->ports()[0])});
}

TEST_F(ListenerTest, OutOfDescriptorsItPausesAndGoesOn) {
  const auto listener = MustListen({"127.0.0.1:0"});
  const Descriptor waiting = ConnectTcp(listener->ports()[0]);
  {
    const NoDescriptors none;
    listener->Accept();
    EXPECT_TRUE(RunUntil([this] { return FailedToAccept(); }));
    EXPECT_TRUE(taken_.empty());
  }
  EXPECT_TRUE(RunUntil([this] { return taken_.size() == 1; }));
}

TEST_F(ListenerTest, ClosedInAPauseItStaysClosed) {
  const auto listener = MustListen({"127.0.0.1:0"});
  const Descriptor waiting = ConnectTcp(listener->ports()[0]);
  {
    const NoDescriptors none;
    listener->Accept();
    EXPECT_TRUE(RunUntil([this] { return FailedToAccept(); }));
  }
  listener->Close();
  EXPECT_TRUE(ComesToRest());
  EXPECT_TRUE(taken_.empty());
}

}  // namespace
}  // namespace werkplek
