#include <gtest/gtest.h>

#include <set>

#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

TEST(FreeLoopbackPortTest, GivesNoPortTwice) {
  std::set<int> ports;
  for (int i = 0; i < 500; ++i) {
    const int port = FreeLoopbackPort();
    ASSERT_GE(port, 20'000);
    ASSERT_LT(port, 32'768);
    EXPECT_TRUE(ports.insert(port).second) << port;
  }
}

}  // namespace
}  // namespace werkplek
