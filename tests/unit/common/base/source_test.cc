#include "common/base/source.h"

#include <gtest/gtest.h>

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

TEST(SourceTest, WhatIsNoAddressIsItself) {
  for (const char* other : {"", "unix", "[", "[]:1", "]:1", ":", "::::", "[::ffff:999.0.0.1]:1"}) {
    EXPECT_NE(SourceOf(other), "::/64") << other;
  }
  EXPECT_EQ(SourceOf("unix"), "unix");
}

}  // namespace
}  // namespace werkplek
