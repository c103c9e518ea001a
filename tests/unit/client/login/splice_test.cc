#include "client/login/splice.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace werkplek {
namespace {

// Two connections with JoinSockets between them.
class SpliceTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, left_), 0);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, right_), 0);
    ASSERT_EQ(pipe(stop_), 0);
    joined_ = std::thread([this] { JoinSockets(left_[1], right_[0], stop_[0]); });
  }
  void TearDown() override {
    if (joined_.joinable()) {
      EXPECT_EQ(write(stop_[1], "x", 1), 1);
      joined_.join();
    }
    for (const int fd : {left_[0], left_[1], right_[0], right_[1], stop_[0], stop_[1]}) close(fd);
  }
  static std::string ReadAll(int from) {
    std::string all;
    char buffer[8192];
    ssize_t got = 0;
    while ((got = read(from, buffer, sizeof(buffer))) > 0) all.append(buffer, got);
    return all;
  }

  int left_[2];
  int right_[2];
  int stop_[2];
  std::thread joined_;
};

TEST_F(SpliceTest, CarriesMoreThanItsBuffersBothWaysAndPassesEndsOn) {
  std::string there(3'000'000, 'a');
  std::string back(2'000'000, 'b');
  there += "end";
  back += "fin";
  std::thread writer([&] {
    EXPECT_EQ(write(left_[0], there.data(), there.size()), static_cast<ssize_t>(there.size()));
    shutdown(left_[0], SHUT_WR);
  });
  std::thread answerer([&] {
    EXPECT_EQ(write(right_[1], back.data(), back.size()), static_cast<ssize_t>(back.size()));
    shutdown(right_[1], SHUT_WR);
  });
  std::string got_there;
  std::thread reader([&] { got_there = ReadAll(right_[1]); });
  const std::string got_back = ReadAll(left_[0]);
  writer.join();
  answerer.join();
  reader.join();
  EXPECT_TRUE(got_there == there);
  EXPECT_TRUE(got_back == back);
  joined_.join();
}

TEST_F(SpliceTest, StopsWhenToldTo) {
  ASSERT_EQ(write(stop_[1], "x", 1), 1);
  joined_.join();
}

TEST_F(SpliceTest, EndsWhenBothSidesAreGone) {
  shutdown(left_[0], SHUT_RDWR);
  shutdown(right_[1], SHUT_RDWR);
  joined_.join();
}

}  // namespace
}  // namespace werkplek
