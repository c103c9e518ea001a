#include "broker/core/places.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

Caller At(v1::Identity identity, const std::string& peer, const std::string& address) {
  Caller caller;
  caller.identity = identity;
  caller.peer = peer;
  caller.address = address;
  return caller;
}

TEST(PlacesTest, AreMachinesAndNetworksOfBrowsers) {
  EXPECT_EQ(PlaceOf(At(v1::IDENTITY_CLIENT, "client/tc-1", "192.0.2.7:1")), "client/tc-1");
  EXPECT_EQ(PlaceOf(At(v1::IDENTITY_ADMIN, "admin/a-1", "192.0.2.7:1")), "admin/a-1");
  EXPECT_EQ(PlaceOf(At(v1::IDENTITY_GATEWAY, "gateway/gw-a", "192.0.2.7:1")), "browser/192.0.2.7");
  EXPECT_EQ(PlaceOf(At(v1::IDENTITY_GATEWAY, "gateway/gw-b", "[2001:db8:0:7::1]:1")),
            "browser/2001:db8:0:7::/64");
}

TEST(PlacesTest, NewestFirstAndNoMoreThanEight) {
  v1::TokenEnrolment token;
  for (const char* place : {"a", "b", "c", "a"}) RememberPlace(place, token);
  EXPECT_THAT(token.places(), ElementsAre("a", "c", "b"));
  EXPECT_TRUE(IsKnownPlace(token, "b"));
  EXPECT_FALSE(IsKnownPlace(token, "d"));
  for (int i = 0; i < 7; ++i) RememberPlace(absl::StrCat("p", i), token);
  EXPECT_THAT(token.places(), ElementsAre("p6", "p5", "p4", "p3", "p2", "p1", "p0", "a"));
}

}  // namespace
}  // namespace werkplek
