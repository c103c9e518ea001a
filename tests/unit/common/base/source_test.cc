#include "common/base/source.h"

#include <gtest/gtest.h>

#include <utility>

namespace werkplek {
namespace {

TEST(SourceTest, AnAddressOfIpv4IsItself) {
  EXPECT_EQ(SourceOf("10.0.0.1:51234"), "10.0.0.1");
  EXPECT_EQ(SourceOf("10.0.0.1"), "10.0.0.1");
  EXPECT_EQ(SourceOf("[::ffff:10.0.0.1]:51234"), "10.0.0.1");
}

TEST(SourceTest, AnAddressOfIpv6IsItsNetwork) {
  EXPECT_EQ(SourceOf("[2001:db8:0:7::1]:51234"), "2001:db8:0:7::/64");
  EXPECT_EQ(SourceOf("[2001:db8:0:7:ffff:1:2:3]:443"), SourceOf("2001:db8:0:7::1"));
  EXPECT_NE(SourceOf("[2001:db8:0:8::1]:51234"), SourceOf("[2001:db8:0:7::1]:51234"));
  EXPECT_EQ(SourceOf("[fe80::1%eth0]:51234"), "fe80::/64");
  EXPECT_EQ(SourceOf("[::1]:51234"), "::/64");
}

TEST(SourceTest, OfWhatIsNoAddressThePortIsLeftOut) {
  const std::pair<const char*, const char*> kOthers[] = {
      {"", ""},
      {"unix", "unix"},
      {"tc-1:51234", "tc-1"},
      {"[", ""},
      {"[]:1", ""},
      {"]:1", "]"},
      {"::::", "::::"},
      {"[::ffff:999.0.0.1]:1", "::ffff:999.0.0.1"},
  };
  for (const auto& [other, source] : kOthers) EXPECT_EQ(SourceOf(other), source) << other;
}

}  // namespace
}  // namespace werkplek
