#include "client/api/message_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "werkplek/v1/admin.pb.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

v1::Resource Pool() {
  v1::Resource resource;
  resource.set_name("kantoor");
  resource.set_version(3);
  resource.mutable_pool()->set_kind(v1::POOL_KIND_FLOATING);
  resource.mutable_pool()->set_memory_mib(4096);
  resource.mutable_pool()->set_description("true");
  resource.mutable_pool()->add_sites("a");
  return resource;
}

TEST(ToJson, HasTheProtosFieldNamesAndEveryField) {
  const std::string json = ToJson(Pool());
  EXPECT_THAT(json, HasSubstr("\"memory_mib\": \"4096\""));
  EXPECT_THAT(json, HasSubstr("\"min_desktops\": 0"));
  EXPECT_THAT(json, HasSubstr("\"kind\": \"POOL_KIND_FLOATING\""));
  const std::string line = ToJson(Pool(), /*one_line=*/true);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
}

TEST(ToYaml, QuotesWhatYamlWouldReadAsSomethingElse) {
  const std::string yaml = ToYaml(Pool());
  EXPECT_THAT(yaml, HasSubstr("name: kantoor\n"));
  EXPECT_THAT(yaml, HasSubstr("description: \"true\"\n"));
  EXPECT_THAT(yaml, HasSubstr("memory_mib: \"4096\"\n"));
  EXPECT_THAT(yaml, HasSubstr("sites:\n    - a\n"));
}

TEST(EnumWord, DropsTheTypesPrefix) {
  EXPECT_EQ(EnumWord(v1::POOL_KIND_FLOATING), "floating");
  EXPECT_EQ(EnumWord(v1::LIVENESS_UP), "up");
  EXPECT_EQ(EnumWord(v1::DESKTOP_STATE_PROVISIONING), "provisioning");
  EXPECT_EQ(EnumWord(v1::RESOURCE_KIND_ENTITLEMENT), "entitlement");
  EXPECT_EQ(EnumWord(static_cast<v1::Liveness>(99)), "99");
}

TEST(SetField, TakesWhatFitsAndSaysWhatWouldElse) {
  v1::Pool pool;
  const auto set = [&pool](const char* field, const char* text) {
    return SetField(pool, *v1::Pool::descriptor()->FindFieldByName(field), text);
  };
  EXPECT_TRUE(set("kind", "dedicated").ok());
  EXPECT_EQ(pool.kind(), v1::POOL_KIND_DEDICATED);
  EXPECT_TRUE(set("kind", "POOL_KIND_FLOATING").ok());
  EXPECT_EQ(pool.kind(), v1::POOL_KIND_FLOATING);
  EXPECT_TRUE(set("memory_mib", "18446744073709551615").ok());
  EXPECT_TRUE(set("sites", "a").ok());
  EXPECT_TRUE(set("sites", "b").ok());
  EXPECT_EQ(pool.sites_size(), 2);
  EXPECT_EQ(set("vcpus", "4294967296").message(),
            "must be a whole number from 0 to 4294967295, not \"4294967296\"");
  EXPECT_EQ(set("vcpus", "-1").message(),
            "must be a whole number from 0 to 4294967295, not \"-1\"");
  EXPECT_EQ(set("vcpus", "").message(), "must be a whole number from 0 to 4294967295, not \"\"");
  EXPECT_EQ(set("kind", "cloudy").message(), "must be one of floating, dedicated, not \"cloudy\"");
  v1::Image image;
  EXPECT_EQ(
      SetField(image, *v1::Image::descriptor()->FindFieldByName("guest_agent"), "yes").message(),
      "must be true or false, not \"yes\"");
}

TEST(FormatSpan, ShowsTheTwoLargestUnits) {
  EXPECT_EQ(FormatSpan(absl::Seconds(7)), "7s");
  EXPECT_EQ(FormatSpan(absl::Seconds(61)), "1m 1s");
  EXPECT_EQ(FormatSpan(absl::Minutes(150)), "2h 30m");
  EXPECT_EQ(FormatSpan(absl::Hours(49)), "2d 1h");
  EXPECT_EQ(FormatSpan(absl::Seconds(-5)), "0s");
}

TEST(FormatMinute, LeavesTodayOut) {
  const absl::TimeZone zone = absl::LocalTimeZone();
  const absl::Time now = absl::FromCivil(absl::CivilSecond(2026, 11, 27, 9, 0, 0), zone);
  const auto at = [&](absl::CivilSecond when) {
    return FormatMinute(absl::ToUnixMillis(absl::FromCivil(when, zone)), now);
  };
  EXPECT_EQ(at(absl::CivilSecond(2026, 11, 27, 14, 5, 59)), "14:05");
  EXPECT_EQ(at(absl::CivilSecond(2026, 11, 26, 14, 5, 0)), "2026-11-26 14:05");
  EXPECT_EQ(FormatMinute(0, now), "-");
}

TEST(FormatTime, ShowsNothingForNever) { EXPECT_EQ(FormatTime(0), "-"); }

}  // namespace
}  // namespace werkplek
