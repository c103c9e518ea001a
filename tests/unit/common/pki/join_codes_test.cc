#include "common/pki/join_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

const PeerName kHost{v1::IDENTITY_HOST, "hv-a1"};
const PeerName kOther{v1::IDENTITY_HOST, "hv-a2"};

class JoinCodesTest : public testing::Test {
 protected:
  absl::Duration now_ = absl::Hours(1);
  JoinCodeLimits limits_;
  JoinCodes codes_{limits_, [this] { return now_; }};
};

TEST_F(JoinCodesTest, ACodeWorksOnce) {
  const std::string code = *codes_.Add(kHost, "r1");
  EXPECT_THAT(code, testing::MatchesRegex("([0-9A-Z]{4}-){4}[0-9A-Z]{4}"));
  const auto peer = codes_.Redeem(code, "key1", "192.0.2.1");
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(*peer, kHost);
  EXPECT_EQ(codes_.Redeem(code, "key2", "192.0.2.1").status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST_F(JoinCodesTest, ALostAnswerMayBeAskedForAgainWithTheSameKey) {
  const std::string code = *codes_.Add(kHost, "r1");
  EXPECT_TRUE(codes_.Redeem(code, "key1", "a").ok());
  EXPECT_TRUE(codes_.Redeem(code, "key1", "a").ok());
  now_ += limits_.lifetime;
  EXPECT_FALSE(codes_.Redeem(code, "key1", "a").ok());
}

TEST_F(JoinCodesTest, PeopleMayTypeItTheirWay) {
  const std::string code = *codes_.Add(kHost, "r1");
  std::string typed;
  for (const char c : absl::AsciiStrToLower(code)) {
    typed += c == '-' ? ' ' : c == '0' ? 'o' : c == '1' ? 'l' : c;
  }
  EXPECT_TRUE(codes_.Redeem(typed, "k", "a").ok()) << typed;
}

TEST_F(JoinCodesTest, ACodeEnds) {
  const std::string code = *codes_.Add(kHost, "r1");
  now_ += limits_.lifetime;
  EXPECT_EQ(codes_.Redeem(code, "k", "a").status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(codes_.Add(kHost, "r1").status().code(), absl::StatusCode::kAborted)
      << "a retry does not revive it";
  EXPECT_TRUE(codes_.Add(kHost, "r2").ok());
}

TEST_F(JoinCodesTest, TheSameRequestGetsTheSameCodeAndANewOneKillsTheOld) {
  const std::string first = *codes_.Add(kHost, "r1");
  EXPECT_EQ(*codes_.Add(kHost, "r1"), first);
  EXPECT_NE(*codes_.Add(kOther, "r1"), first);
  const std::string second = *codes_.Add(kHost, "r2");
  EXPECT_NE(second, first);
  EXPECT_FALSE(codes_.Redeem(first, "k", "a").ok());
  EXPECT_TRUE(codes_.Redeem(second, "k", "a").ok());
  EXPECT_NE(*JoinCodes(limits_, [] { return absl::ZeroDuration(); }).Add(kHost, "r1"), first)
      << "another run, another key";
}

TEST_F(JoinCodesTest, GuessingIsStoppedPerAddress) {
  const std::string code = *codes_.Add(kHost, "r1");
  for (uint32_t i = 0; i < limits_.max_wrong_per_address; ++i) {
    EXPECT_EQ(codes_.Redeem("wrong", "k", "bad").status().code(),
              absl::StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(codes_.Redeem(code, "k", "bad").status().code(), absl::StatusCode::kResourceExhausted);
  now_ += limits_.window;
  EXPECT_TRUE(codes_.Redeem(code, "k", "bad").ok());
}

TEST_F(JoinCodesTest, ANetworkOfIpv6GuessesAsOne) {
  const std::string code = *codes_.Add(kHost, "r1");
  for (uint32_t i = 0; i < limits_.max_wrong_per_address; ++i) {
    EXPECT_FALSE(codes_.Redeem("wrong", "k", absl::StrCat("2001:db8::", i + 1)).ok());
  }
  EXPECT_EQ(codes_.Redeem(code, "k", "2001:db8::ffff").status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(codes_.Redeem(code, "k", "2001:db8:0:1::1").ok());
}

TEST_F(JoinCodesTest, GuessingFromManyAddressesIsStoppedToo) {
  const std::string code = *codes_.Add(kHost, "r1");
  for (uint32_t i = 0; i < limits_.max_wrong; ++i) {
    EXPECT_FALSE(codes_.Redeem("wrong", "k", absl::StrCat("a", i)).ok());
  }
  EXPECT_EQ(codes_.Redeem(code, "k", "good").status().code(), absl::StatusCode::kResourceExhausted);
  now_ += limits_.window;
  EXPECT_TRUE(codes_.Redeem(code, "k", "good").ok());
}

TEST_F(JoinCodesTest, CodesAreBounded) {
  for (size_t i = 0; i < limits_.max_codes; ++i) {
    ASSERT_TRUE(codes_.Add({v1::IDENTITY_CLIENT, absl::StrCat("tc-", i)}, "r").ok());
  }
  EXPECT_EQ(codes_.Add(kHost, "r").status().code(), absl::StatusCode::kResourceExhausted);
  now_ += limits_.lifetime;
  EXPECT_TRUE(codes_.Add(kHost, "r").ok());
}

}  // namespace
}  // namespace werkplek
