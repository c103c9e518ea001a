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

}  // namespace
}  // namespace werkplek
