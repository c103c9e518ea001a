#include "common/tls/peer_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

TEST(PeerNameTest, EveryIdentityComesBack) {
  for (int i = v1::Identity_MIN; i <= v1::Identity_MAX; ++i) {
    const auto identity = static_cast<v1::Identity>(i);
    if (identity == v1::IDENTITY_UNSPECIFIED) continue;
    ASSERT_NE(IdentityWord(identity), "") << i;
    const PeerName peer{identity, "hv-a1.site-a"};
    const auto parsed = ParsePeerUri(PeerUri(peer));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, peer);
  }
  EXPECT_EQ(PeerUri({v1::IDENTITY_HOST, "hv-a1"}), "werkplek://host/hv-a1");
  EXPECT_EQ(PeerLabel({v1::IDENTITY_CLIENT, "tc-017"}), "client/tc-017");
}

TEST(PeerNameTest, EveryOtherSpellingIsRefused) {
  const std::string nul("werkplek://host/hv\0a1", 21);
  for (const std::string& uri : {
           std::string(""),
           std::string("host/hv-a1"),
           std::string("werkplek:/host/hv-a1"),
           std::string("WERKPLEK://host/hv-a1"),
           std::string("werkplek://Host/hv-a1"),
           std::string("werkplek://host/HV-A1"),
           std::string("werkplek://host/"),
           std::string("werkplek://host"),
           std::string("werkplek:///hv-a1"),
           std::string("werkplek://root/hv-a1"),
           std::string("werkplek://host/hv-a1/"),
           std::string("werkplek://host/a/b"),
           std::string("werkplek://host:1/hv-a1"),
           std::string("werkplek://u@host/hv-a1"),
           std::string("werkplek://host/hv-a1?x"),
           std::string("werkplek://host/hv-a1#x"),
           std::string("werkplek://host/hv%2da1"),
           std::string("werkplek://host/-hv"),
           std::string("werkplek://host/hv."),
           std::string("werkplek://host/hv a1"),
           std::string(" werkplek://host/hv-a1"),
           std::string("werkplek://host/hv-a1\n"),
           std::string("werkplek://host/..."),
           std::string("spiffe://host/hv-a1"),
           nul,
           "werkplek://host/" + std::string(64, 'a'),
           std::string(65536, 'w'),
       }) {
    EXPECT_EQ(ParsePeerUri(uri).status().code(), absl::StatusCode::kInvalidArgument) << uri;
  }
  EXPECT_TRUE(ParsePeerUri("werkplek://host/" + std::string(63, 'a')).ok());
}

TEST(PeerNameTest, ARefusalShowsWhatItGotWithoutControlBytes) {
  const auto parsed = ParsePeerUri("werkplek://host/\x1b[31m\n");
  EXPECT_THAT(std::string(parsed.status().message()), testing::HasSubstr("\\x1b[31m\\n"));
}

}  // namespace
}  // namespace werkplek
