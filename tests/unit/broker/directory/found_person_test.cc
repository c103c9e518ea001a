#include "broker/directory/found_person.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

using testing::ElementsAre;

LdapEntry Entry(std::vector<std::string> names) {
  return {"uid=x,dc=nl", {{"UID", std::move(names)}, {"displayname", {"Jan de Vries"}}}};
}

TEST(FoundPersonTest, TheDirectorysSpellingCounts) {
  const auto found = ReadPerson({}, Entry({"Jan.deVries"}), "jan.devries");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->person.user, "Jan.deVries");
  EXPECT_EQ(found->person.dn, "uid=x,dc=nl");
  EXPECT_EQ(found->person.display_name, "Jan de Vries");
  EXPECT_FALSE(found->disabled);
}

TEST(FoundPersonTest, AnEntryThatDoesNotCarryTheNameIsNobody) {
  EXPECT_FALSE(ReadPerson({}, Entry({"piet"}), "jan").has_value());
  EXPECT_FALSE(ReadPerson({}, Entry({"jan2"}), "jan").has_value());
  EXPECT_FALSE(ReadPerson({}, Entry({}), "jan").has_value());
  EXPECT_FALSE(ReadPerson({}, {"uid=jan,dc=nl", {{"cn", {"jan"}}}}, "jan").has_value());
}

TEST(FoundPersonTest, OnePersonHasOneName) {
  EXPECT_EQ(ReadPerson({}, Entry({"jan", "beheer"}), "jan")->person.user, "beheer");
  EXPECT_EQ(ReadPerson({}, Entry({"beheer", "jan"}), "beheer")->person.user, "beheer");
}

TEST(FoundPersonTest, ANameThatCouldNotBeTypedIsNobody) {
  EXPECT_FALSE(ReadPerson({}, Entry({"jan", "a b"}), "jan").has_value());
}

TEST(FoundPersonTest, SwitchedOffAccounts) {
  const auto disabled = [](std::string attribute, std::string value) {
    LdapEntry entry = Entry({"jan"});
    entry.attributes.push_back({std::move(attribute), {std::move(value)}});
    return ReadPerson({}, entry, "jan")->disabled;
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

TEST(FoundPersonTest, MemberOfGivesDirectGroups) {
  DirectorySettings settings;
  settings.member_of_attribute = "memberOf";
  LdapEntry entry = Entry({"jan"});
  entry.attributes.push_back({"memberOf", {"cn=a", "cn=b"}});
  EXPECT_THAT(ReadPerson(settings, entry, "jan")->direct_groups, ElementsAre("cn=a", "cn=b"));
  EXPECT_THAT(PersonAttributes(settings), testing::Contains("memberOf"));
}

}  // namespace
}  // namespace werkplek
