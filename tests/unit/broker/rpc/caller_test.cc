#include "broker/rpc/caller.h"

#include <string>

#include "common/base/crypto.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

TEST(PeerAddress, IsAddressAndPort) {
  EXPECT_EQ(PeerAddress("ipv4:127.0.0.1:51234"), "127.0.0.1:51234");
  EXPECT_EQ(PeerAddress("ipv6:%5B::1%5D:51234"), "[::1]:51234");
  EXPECT_EQ(PeerAddress("ipv6:[::1]:51234"), "[::1]:51234");
  EXPECT_EQ(PeerAddress("unix:/x"), "unix:/x");
}

TEST(TokenSha256, IsTheHashOfTheWholeToken) {
  const auto hash = TokenSha256("Bearer wp1_abc");
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(*hash, Sha256("wp1_abc"));
}

TEST(TokenSha256, RefusesOtherForms) {
  for (const std::string& header : {std::string(), std::string("wp1_abc"), std::string("Bearer "),
                                    std::string("bearer wp1_abc"), std::string("Basic wp1_abc"),
                                    "Bearer " + std::string(513, 'a')}) {
    const auto hash = TokenSha256(header);
    EXPECT_TRUE(absl::IsUnauthenticated(hash.status())) << header;
    EXPECT_EQ(hash.status().message().find("abc"), std::string::npos) << "the token is not shown";
  }
  EXPECT_TRUE(TokenSha256("Bearer " + std::string(512, 'a')).ok());
}

constexpr char kTransport[] = "192.0.2.1:443";

TEST(CallersAddress, IsTheTransportsUnlessAGatewayTellsTheBrowsers) {
  for (const v1::Identity identity : {v1::IDENTITY_CLIENT, v1::IDENTITY_HOST, v1::IDENTITY_GATEWAY,
                                      v1::IDENTITY_ADMIN, v1::IDENTITY_BROKER}) {
    EXPECT_EQ(*CallersAddress(identity, {}, kTransport), kTransport);
  }
  for (const char* told : {"198.51.100.7:51234", "[2001:db8::7]:51234"}) {
    EXPECT_EQ(*CallersAddress(v1::IDENTITY_GATEWAY, {told}, kTransport), told);
  }
}

TEST(CallersAddress, RefusesWhatAnyOtherMachineTells) {
  for (const v1::Identity identity : {v1::IDENTITY_UNSPECIFIED, v1::IDENTITY_CLIENT,
                                      v1::IDENTITY_HOST, v1::IDENTITY_ADMIN, v1::IDENTITY_BROKER}) {
    const auto refused = CallersAddress(identity, {"198.51.100.7:51234"}, kTransport);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << identity;
  }
}

TEST(CallersAddress, RefusesWhatIsNotOneNumericAddress) {
  for (const std::string& told :
       {std::string(), std::string("198.51.100.7"), std::string("browser.example:51234"),
        std::string("198.51.100.7:"), std::string("198.51.100.7:99999"),
        std::string("2001:db8::7:51234"), std::string("[2001:db8::7]"),
        std::string("[fe80::1%eth0]:51234"), std::string("198.51.100.7:1 admin:beheer"),
        std::string("198.51.100.7:51234, 192.0.2.9:1"), std::string(200, '1') + ":1"}) {
    const auto refused = CallersAddress(v1::IDENTITY_GATEWAY, {told}, kTransport);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << told;
  }
  const std::string good = "198.51.100.7:51234";
  EXPECT_TRUE(absl::IsInvalidArgument(
      CallersAddress(v1::IDENTITY_GATEWAY, {good, good}, kTransport).status()));
}

}  // namespace
}  // namespace werkplek
