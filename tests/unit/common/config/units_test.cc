#include "common/config/units.h"

#include <gtest/gtest.h>

#include <string>

namespace werkplek {
namespace {

TEST(UnitsTest, DurationsComeBackAsTheyWereWritten) {
  const std::pair<const char*, absl::Duration> good[] = {{"250ms", absl::Milliseconds(250)},
                                                         {"30s", absl::Seconds(30)},
                                                         {"5m", absl::Minutes(5)},
                                                         {"12h", absl::Hours(12)},
                                                         {"30d", absl::Hours(720)},
                                                         {"1h30m", absl::Minutes(90)},
                                                         {"1m500ms", absl::Milliseconds(60'500)}};
  for (const auto& [text, duration] : good) {
    const auto parsed = ParseDurationText(text);
    ASSERT_TRUE(parsed.ok()) << text << parsed.status();
    EXPECT_EQ(*parsed, duration) << text;
    EXPECT_EQ(DurationText(duration), text);
  }
  EXPECT_EQ(*ParseDurationText("0s"), absl::ZeroDuration());
  EXPECT_EQ(DurationText(absl::ZeroDuration()), "0s");
}

TEST(UnitsTest, OtherDurationsAreRefused) {
  for (const char* text : {"", "30", "s", "-1s", "1.5h", "1 s", "1s ", "30S", "5min", "1s1h",
                           "1m1m", "inf", "99999999999999999s", "40000d", "1us"}) {
    EXPECT_FALSE(ParseDurationText(text).ok()) << text;
  }
}

TEST(UnitsTest, Sizes) {
  EXPECT_EQ(*ParseSizeText("512"), 512u);
  EXPECT_EQ(*ParseSizeText("64KiB"), 65536u);
  EXPECT_EQ(*ParseSizeText("16MiB"), 16u << 20);
  EXPECT_EQ(*ParseSizeText("4GiB"), 4ull << 30);
  for (const char* text :
       {"", "KiB", "64KB", "64 KiB", "-1", "1.5GiB", "99999999TiB", "184467440737095516160"}) {
    EXPECT_FALSE(ParseSizeText(text).ok()) << text;
  }
}

TEST(UnitsTest, Addresses) {
  const auto v4 = ParseHostPort("127.0.0.1:7443");
  ASSERT_TRUE(v4.ok());
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 7443);
  EXPECT_EQ(ParseHostPort("[2001:db8::1]:0")->host, "2001:db8::1");
  EXPECT_EQ(ParseHostPort("broker.example:1")->port, 1);
  for (const char* text : {"", ":1", "a", "a:", "a:70000", "a:-1", "a:1x", "2001:db8::1:80",
                           "[x]:1", "a b:1", "a/b:1", "http://a:1"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

TEST(UnitsTest, Networks) {
  for (const char* text : {"192.0.2.0/24", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "::1/128"}) {
    EXPECT_TRUE(CheckNetworkText(text).ok()) << text;
  }
  for (const char* text : {"", "192.0.2.7/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2/24", "x/8",
                           "2001:db8::1/32", "192.0.2.0/-1"}) {
    EXPECT_FALSE(CheckNetworkText(text).ok()) << text;
  }
}

}  // namespace
}  // namespace werkplek
