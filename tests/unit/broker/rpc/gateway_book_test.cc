#include "broker/rpc/gateway_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kNow = absl::Hours(1);

v1::AnnounceGatewayRequest Said(const std::string& site, const std::string& address,
                                uint32_t channels = 0) {
  v1::AnnounceGatewayRequest said;
  said.set_site(site);
  said.add_addresses(address);
  said.set_channels(channels);
  return said;
}

std::vector<std::string> Told(GatewayBook& book, const std::string& site, absl::Duration now) {
  v1::Ready ready;
  book.Tell(site, now, ready);
  return {ready.gateways().begin(), ready.gateways().end()};
}

TEST(GatewayBookTest, TheSiteComesFirstThenTheIdlest) {
  GatewayBook book;
  ASSERT_TRUE(book.Put("gateway/a1", Said("a", "a1.example:7460", 9), kNow).ok());
  ASSERT_TRUE(book.Put("gateway/a2", Said("a", "a2.example:7460", 3), kNow).ok());
  ASSERT_TRUE(book.Put("gateway/b1", Said("b", "b1.example:7460"), kNow).ok());
  EXPECT_THAT(Told(book, "a", kNow),
              ElementsAre("a2.example:7460", "a1.example:7460", "b1.example:7460"));
  EXPECT_THAT(Told(book, "b", kNow),
              ElementsAre("b1.example:7460", "a2.example:7460", "a1.example:7460"));
}

TEST(GatewayBookTest, WhoIsSilentIsForgottenAndWhoComesBackIsThere) {
  GatewayBook book;
  ASSERT_TRUE(book.Put("gateway/a1", Said("a", "a1.example:7460"), kNow).ok());
  const absl::Duration last = kNow + GatewayBook::kHeardFor;
  EXPECT_THAT(book.Names(last), ElementsAre("gateway/a1"));
  EXPECT_THAT(Told(book, "a", last + absl::Milliseconds(1)), IsEmpty());
  ASSERT_TRUE(book.Put("gateway/a1", Said("a", "a1.example:7461"), last).ok());
  EXPECT_THAT(Told(book, "a", last), ElementsAre("a1.example:7461"));
}

TEST(GatewayBookTest, WhatIsSaidIsJudged) {
  GatewayBook book;
  v1::AnnounceGatewayRequest many = Said("a", "a.example:1");
  for (int i = 0; i < GatewayBook::kMaxAddresses; ++i) many.add_addresses("a.example:2");
  v1::AnnounceGatewayRequest none = Said("a", "");
  none.clear_addresses();
  for (const auto& [said, field] :
       {std::pair(Said("A site", "a.example:1"), "site"), std::pair(Said("a", "a.example"), "addr"),
        std::pair(Said("a", std::string(300, 'a') + ":1"), "too long"), std::pair(many, "1 to 8"),
        std::pair(none, "1 to 8")}) {
    const absl::Status put = book.Put("gateway/a1", said, kNow);
    EXPECT_TRUE(absl::IsInvalidArgument(put)) << said.ShortDebugString();
    EXPECT_THAT(put.message(), HasSubstr(field));
  }
  EXPECT_THAT(book.Names(kNow), IsEmpty());
}

TEST(GatewayBookTest, ThereIsAnEndToGateways) {
  GatewayBook book;
  for (size_t i = 0; i < GatewayBook::kMaxGateways; ++i) {
    ASSERT_TRUE(book.Put(absl::StrCat("gateway/", i), Said("a", "a.example:1"), kNow).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(book.Put("gateway/more", Said("a", "a.example:1"), kNow)));
  EXPECT_TRUE(book.Put("gateway/0", Said("a", "a.example:1"), kNow).ok());
}

}  // namespace
}  // namespace werkplek
