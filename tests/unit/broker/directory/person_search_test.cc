#include "broker/directory/person_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

bool Joins(const std::string& filter, const std::string& attribute = "uid") {
  DirectorySettings settings;
  settings.user_filter = filter;
  settings.user_attribute = attribute;
  return NamesOnlyTheUser(settings);
}

TEST(PersonSearchTest, FiltersThatTellByTheUsersAttributeWhomAnEntryIsFor) {
  EXPECT_TRUE(Joins("(uid={user})"));
  EXPECT_TRUE(Joins("(UID={user})"));
  EXPECT_TRUE(Joins("(&(objectCategory=person)(sAMAccountName={user}))", "sAMAccountName"));
  EXPECT_TRUE(Joins("(&(uid={user})(!(nsAccountLock=true)))"));
}

TEST(PersonSearchTest, FiltersThatDoNot) {
  EXPECT_FALSE(Joins("(mail={user})"));
  EXPECT_FALSE(Joins("(|(uid={user})(mail={user}))"));
  EXPECT_FALSE(Joins("(&(uid={user})(!(uid={user}-old)))"));
  EXPECT_FALSE(Joins("(uid={user}*)"));
  EXPECT_FALSE(Joins("(uid=*{user})"));
  EXPECT_FALSE(Joins("(uid>={user})"));
  EXPECT_FALSE(Joins("(myuid={user})"));
  EXPECT_FALSE(Joins("(uid:caseExactMatch:={user})"));
}

TEST(PersonSearchTest, OneFilterForSeveralPeople) {
  DirectorySettings settings;
  EXPECT_EQ(PersonFilter(settings, {"jan"}), "(uid=jan)");
  EXPECT_EQ(PersonFilter(settings, {"jan", "piet"}), "(|(uid=jan)(uid=piet))");
  EXPECT_EQ(PersonFilter(settings, {"*", "a)b"}), "(|(uid=\\2a)(uid=a\\29b))");
  settings.user_filter = "(&(objectClass=person)(uid={user}))";
  EXPECT_EQ(PersonFilter(settings, {"jan", "piet"}),
            "(|(&(objectClass=person)(uid=jan))(&(objectClass=person)(uid=piet)))");
}

LdapEntry Entry(const std::string& dn, std::vector<std::string> names) {
  return {dn, {{"UID", std::move(names)}}};
}

// The DNs of each share.
std::optional<std::vector<std::vector<std::string>>> Shares(const std::vector<std::string>& names,
                                                            const std::vector<LdapEntry>& entries) {
  const auto shares = ShareOut({}, names, entries);
  if (!shares.has_value()) return std::nullopt;
  std::vector<std::vector<std::string>> dns;
  for (const std::vector<LdapEntry>& share : *shares) {
    dns.emplace_back().reserve(share.size());
    for (const LdapEntry& entry : share) dns.back().push_back(entry.dn);
  }
  return dns;
}

TEST(PersonSearchTest, EachGetsWhatCarriesTheirName) {
  EXPECT_THAT(*Shares({"jan", "nobody", "Piet"}, {Entry("b", {"piet"}), Entry("a", {"Jan"})}),
              ElementsAre(ElementsAre("a"), IsEmpty(), ElementsAre("b")));
  EXPECT_THAT(*Shares({"jan", "piet"}, {}), ElementsAre(IsEmpty(), IsEmpty()));
}

TEST(PersonSearchTest, TwoPeopleOfOneNameStayTwo) {
  EXPECT_THAT(*Shares({"jan", "piet"}, {Entry("a", {"jan"}), Entry("b", {"x", "jan"})}),
              ElementsAre(ElementsAre("a", "b"), IsEmpty()));
}

TEST(PersonSearchTest, OnePersonMayBeAskedForTwiceAndByTwoNames) {
  EXPECT_THAT(*Shares({"jan", "JAN", "j.devries"}, {Entry("a", {"jan", "j.devries"})}),
              ElementsAre(ElementsAre("a"), ElementsAre("a"), ElementsAre("a")));
}

TEST(PersonSearchTest, AnEntryOfNobodyCannotBeSharedOut) {
  EXPECT_EQ(Shares({"jan", "piet"}, {Entry("a", {"jan"}), Entry("b", {"jän"})}), std::nullopt);
  EXPECT_EQ(Shares({"jan", "piet"}, {Entry("a", {})}), std::nullopt);
  EXPECT_EQ(Shares({"jan", "piet"}, {{"a", {{"displayName", {"jan"}}}}}), std::nullopt);
}

TEST(PersonSearchTest, NorOneThatTheFilterMayHaveMeantForMore) {
  const std::pair<std::string, std::vector<std::string>> jan = {"uid", {"jan"}};
  EXPECT_EQ(Shares({"jan", "piet"}, {{"a", {jan, {"uid;lang-nl", {"piet"}}}}}), std::nullopt);
  EXPECT_EQ(Shares({"jan", "piet"}, {{"a", {jan, {"uid", {"piet"}}}}}), std::nullopt);
  EXPECT_EQ(Shares({"jan", "piet"}, {{"a", {jan, {"subtypeOfUid", {"piet"}}}}}), std::nullopt);
  EXPECT_EQ(Shares({"jan", "piet"}, {{"a", {jan, {"other;lang-nl", {"piet"}}}}}), std::nullopt);
}

TEST(PersonSearchTest, WhatTheFilterDoesNotNameMayComeInAnyForm) {
  const std::pair<std::string, std::vector<std::string>> jan = {"uid", {"jan"}};
  EXPECT_NE(Shares({"jan", "piet"}, {{"a", {jan, {"DISPLAYNAME", {"Jan"}}}}}), std::nullopt);
  EXPECT_NE(Shares({"jan", "piet"}, {{"a", {jan, {"displayName;lang-nl", {"Jan"}}}}}),
            std::nullopt);
  EXPECT_NE(
      Shares({"jan", "piet"}, {{"a", {{"displayName", {"Jan"}}, jan, {"displayName", {"Johan"}}}}}),
      std::nullopt);
}

}  // namespace
}  // namespace werkplek
