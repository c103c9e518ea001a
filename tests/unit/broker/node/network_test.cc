#include "broker/node/network.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

TEST(NetworkTest, ContainsWhatItsPrefixSays) {
  const auto network = Network::Parse("10.1.0.0/16");
  ASSERT_TRUE(network.ok()) << network.status();
  for (const char* inside : {"10.1.0.0", "10.1.255.255:80", "10.1.2.3:51234", "::ffff:10.1.2.3",
                             "[::ffff:10.1.2.3]:443"}) {
    EXPECT_TRUE(network->Contains(inside)) << inside;
  }
  for (const char* outside : {"10.2.0.0", "11.1.0.0:80", "", "nonsense", "10.1.2", "10.1.2.3.4",
                              "[10.1.2.3", "::1", "2001:db8::1", "0x0a.1.2.3"}) {
    EXPECT_FALSE(network->Contains(outside)) << outside;
  }
}

TEST(NetworkTest, KnowsIpv6AndSingleAddresses) {
  EXPECT_TRUE(Network::Parse("2001:db8::/32")->Contains("[2001:db8:1::7]:443"));
  EXPECT_FALSE(Network::Parse("2001:db8::/32")->Contains("[2001:db9::7]:443"));
  EXPECT_TRUE(Network::Parse("192.0.2.7")->Contains("192.0.2.7:1"));
  EXPECT_FALSE(Network::Parse("192.0.2.7")->Contains("192.0.2.8:1"));
  EXPECT_TRUE(Network::Parse("0.0.0.0/0")->Contains("203.0.113.5:1"));
  EXPECT_FALSE(Network::Parse("0.0.0.0/0")->Contains("[2001:db8::1]:1"));
  EXPECT_TRUE(Network::Parse("::1")->Contains("[::1]:1"));
}

TEST(NetworkTest, RefusesWhatIsNoNetwork) {
  for (const char* bad : {"", "10.1.0.0/", "10.1.0.0/33", "10.1.0.0/-1", "10.1.0.0/x", "10.1/16",
                          "2001:db8::/129", "10.1.2.3/16", "2001:db8::1/32", "host.example.nl"}) {
    const auto network = Network::Parse(bad);
    EXPECT_EQ(network.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(network.status().message()), HasSubstr(bad));
  }
}

}  // namespace
}  // namespace werkplek
