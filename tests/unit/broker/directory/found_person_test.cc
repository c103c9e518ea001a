#include "broker/directory/found_person.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

using testing::ElementsAre;

const absl::Time kNow =
    absl::FromCivil(absl::CivilSecond(2026, 3, 1, 12, 0, 0), absl::UTCTimeZone());

LdapEntry Entry(std::vector<std::string> names) {
  return {"uid=x,dc=nl", {{"UID", std::move(names)}, {"displayname", {"Jan de Vries"}}}};
}

TEST(FoundPersonTest, TheDirectorysSpellingCounts) {
  const auto found = ReadPerson({}, Entry({"Jan.deVries"}), "jan.devries", kNow);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->person.user, "Jan.deVries");
  EXPECT_EQ(found->person.dn, "uid=x,dc=nl");
  EXPECT_EQ(found->person.display_name, "Jan de Vries");
  EXPECT_EQ(found->refusal, "");
}

TEST(FoundPersonTest, AnEntryThatDoesNotCarryTheNameIsNobody) {
  EXPECT_FALSE(ReadPerson({}, Entry({"piet"}), "jan", kNow).has_value());
  EXPECT_FALSE(ReadPerson({}, Entry({"jan2"}), "jan", kNow).has_value());
  EXPECT_FALSE(ReadPerson({}, Entry({}), "jan", kNow).has_value());
  EXPECT_FALSE(ReadPerson({}, {"uid=jan,dc=nl", {{"cn", {"jan"}}}}, "jan", kNow).has_value());
}

TEST(FoundPersonTest, OnePersonHasOneName) {
  EXPECT_EQ(ReadPerson({}, Entry({"jan", "beheer"}), "jan", kNow)->person.user, "beheer");
  EXPECT_EQ(ReadPerson({}, Entry({"beheer", "jan"}), "beheer", kNow)->person.user, "beheer");
}

TEST(FoundPersonTest, ANameThatCouldNotBeTypedIsNobody) {
  EXPECT_FALSE(ReadPerson({}, Entry({"jan", "a b"}), "jan", kNow).has_value());
}

std::string RefusalWith(std::string attribute, std::string value) {
  LdapEntry entry = Entry({"jan"});
  entry.attributes.push_back({std::move(attribute), {std::move(value)}});
  return ReadPerson({}, entry, "jan", kNow)->refusal;
}

TEST(FoundPersonTest, SwitchedOffAccounts) {
  const auto disabled = [](const std::string& attribute, const std::string& value) {
    return RefusalWith(attribute, value) == "account disabled";
  };
  EXPECT_TRUE(disabled("pwdAccountLockedTime", "000001010000Z"));
  // Locked for a while after wrong passwords: the server judges that.
  EXPECT_FALSE(disabled("pwdAccountLockedTime", "20240101120000Z"));
  EXPECT_TRUE(disabled("userAccountControl", "514"));
  EXPECT_FALSE(disabled("userAccountControl", "512"));
  EXPECT_FALSE(disabled("userAccountControl", "x"));
  EXPECT_TRUE(disabled("nsAccountLock", "TRUE"));
  EXPECT_FALSE(disabled("nsAccountLock", "false"));
}

TEST(FoundPersonTest, AccountsThatEnd) {
  const auto expired = [](const std::string& attribute, const std::string& value) {
    return RefusalWith(attribute, value) == "account expired";
  };
  // The 100 ns before kNow, kNow itself and the 100 ns after it.
  EXPECT_TRUE(expired("accountExpires", "134168399999999999"));
  EXPECT_TRUE(expired("accountExpires", "134168400000000000"));
  EXPECT_FALSE(expired("accountExpires", "134168400000000001"));
  EXPECT_TRUE(expired("accountExpires", "1"));
  // Never.
  EXPECT_FALSE(expired("accountExpires", "0"));
  EXPECT_FALSE(expired("accountExpires", "9223372036854775807"));
  EXPECT_FALSE(expired("accountExpires", "9223372036854775806"));
  EXPECT_FALSE(expired("accountExpires", "-1"));
  EXPECT_FALSE(expired("accountExpires", "x"));
  for (const char* attribute : {"pwdEndTime", "krbPrincipalExpiration"}) {
    EXPECT_TRUE(expired(attribute, "20260301120000Z")) << attribute;
    EXPECT_TRUE(expired(attribute, "20260301115959.5Z")) << attribute;
    EXPECT_FALSE(expired(attribute, "20260301120001Z")) << attribute;
    EXPECT_FALSE(expired(attribute, "20991231235959Z")) << attribute;
    EXPECT_FALSE(expired(attribute, "soon")) << attribute;
  }
}

TEST(FoundPersonTest, OfSeveralEndsTheFirstCounts) {
  LdapEntry entry = Entry({"jan"});
  entry.attributes.push_back({"accountExpires", {"9223372036854775807"}});
  entry.attributes.push_back({"pwdEndTime", {"20991231235959Z"}});
  EXPECT_EQ(ReadPerson({}, entry, "jan", kNow)->refusal, "");
  entry.attributes.push_back({"krbPrincipalExpiration", {"20260101000000Z"}});
  EXPECT_EQ(ReadPerson({}, entry, "jan", kNow)->refusal, "account expired");
  entry.attributes.push_back({"nsAccountLock", {"TRUE"}});
  EXPECT_EQ(ReadPerson({}, entry, "jan", kNow)->refusal, "account disabled");
}

TEST(FoundPersonTest, MemberOfGivesDirectGroups) {
  DirectorySettings settings;
  settings.member_of_attribute = "memberOf";
  LdapEntry entry = Entry({"jan"});
  entry.attributes.push_back({"memberOf", {"cn=a", "cn=b"}});
  EXPECT_THAT(ReadPerson(settings, entry, "jan", kNow)->direct_groups, ElementsAre("cn=a", "cn=b"));
  EXPECT_THAT(PersonAttributes(settings), testing::Contains("memberOf"));
}

}  // namespace
}  // namespace werkplek
