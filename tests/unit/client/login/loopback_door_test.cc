#include "client/login/loopback_door.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace werkplek {
namespace {

int Connect(uint16_t port) {
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    close(connection);
    return -1;
  }
  return connection;
}

class LoopbackDoorTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(pipe(stop_), 0); }
  void TearDown() override {
    close(stop_[0]);
    close(stop_[1]);
  }
  int stop_[2];
};

TEST_F(LoopbackDoorTest, OpensOnce) {
  const auto door = LoopbackDoor::Open();
  ASSERT_TRUE(door.ok()) << door.status();
  const int first = Connect((*door)->port());
  ASSERT_GE(first, 0);
  const absl::StatusOr<int> accepted = (*door)->Accept(absl::Seconds(10), stop_[0]);
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(send(first, "x", 1, 0), 1);
  char byte = 0;
  EXPECT_EQ(recv(*accepted, &byte, 1, 0), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_EQ(Connect((*door)->port()), -1);
  close(first);
  close(*accepted);
}

TEST_F(LoopbackDoorTest, EndsByTimeAndByInterrupt) {
  const auto door = LoopbackDoor::Open();
  ASSERT_TRUE(door.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded((*door)->Accept(absl::Milliseconds(1), stop_[0]).status()));
  ASSERT_EQ(write(stop_[1], "x", 1), 1);
  EXPECT_TRUE(absl::IsCancelled((*door)->Accept(absl::Seconds(10), stop_[0]).status()));
}

TEST(OwnerOfLoopbackSocket, ReadsTheKernelsTable) {
  constexpr char kTable[] =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
      "1\n"
      "   1: 0100007F:D431 0100007F:170C 01 00000000:00000000 00:00000000 00000000  1000        0 "
      "2\n"
      "   2: 0100007F:170C 0100007F:D431 01 00000000:00000000 00:00000000 00000000     7        0 "
      "3\n";
  EXPECT_EQ(OwnerOfLoopbackSocket(kTable, 0xD431, 0x170C), 1000);
  EXPECT_EQ(OwnerOfLoopbackSocket(kTable, 0x170C, 0xD431), 7);
  EXPECT_EQ(OwnerOfLoopbackSocket(kTable, 1, 2), -1);
  EXPECT_EQ(OwnerOfLoopbackSocket("", 0xD431, 0x170C), -1);
  EXPECT_EQ(OwnerOfLoopbackSocket("1: 0100007F:D431 0100007F:170C 01 x x x many", 0xD431, 0x170C),
            -1);
}

}  // namespace
}  // namespace werkplek
