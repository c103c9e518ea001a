// LdapDirectory against Active Directory, as Samba speaks it: run by tests/support/samba/in_domain,
// whose `populate` makes the people and groups that are named here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

constexpr char kPassword[] = "Juist-Wachtwoord-1";

std::string OfDomain(const char* variable) {
  const char* value = std::getenv(variable);
  EXPECT_NE(value, nullptr) << variable << ": run this through tests/support/samba/in_domain";
  return value == nullptr ? "" : value;
}

std::string Dn(const std::string& cn) {
  return absl::StrCat("CN=", cn, ",CN=Users,", OfDomain("WERKPLEK_AD_BASE"));
}

class ActiveDirectoryTest : public testing::Test {
 protected:
  static DirectorySettings Settings() {
    DirectorySettings settings;
    settings.servers = {OfDomain("WERKPLEK_AD_URL")};
    settings.ca_file = OfDomain("WERKPLEK_AD_CA");
    settings.bind_dn = Dn("werkplek");
    settings.bind_password = Secret(kPassword);
    settings.user_base = absl::StrCat("CN=Users,", OfDomain("WERKPLEK_AD_BASE"));
    settings.user_filter = "(&(objectCategory=person)(sAMAccountName={user}))";
    settings.user_attribute = "sAMAccountName";
    settings.group_base = OfDomain("WERKPLEK_AD_BASE");
    settings.member_of_attribute = "memberOf";
    return settings;
  }

  ActiveDirectoryTest() : harness_(Settings()) {
    EXPECT_TRUE(harness_.status().ok()) << harness_.status();
  }

  void ExpectDenied(const std::string& user, const std::string& password,
                    const std::string& detail) {
    const DirectoryAnswer answer = harness_.Authenticate(user, password);
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kDenied) << user;
    EXPECT_EQ(answer.detail, detail) << user;
    EXPECT_EQ(answer.person.user, "") << user;
    EXPECT_THAT(answer.notices, IsEmpty()) << user;
  }

  DirectoryHarness harness_;
};

std::vector<std::string> TenDeep() {
  std::vector<std::string> groups;
  for (int depth = 1; depth <= 10; ++depth) groups.push_back(Dn(absl::StrCat("depth", depth)));
  return groups;
}

TEST_F(ActiveDirectoryTest, RightPasswordGivesThePersonWithAllGroups) {
  const DirectoryAnswer answer = harness_.Authenticate("ANNA", kPassword);
  ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_EQ(answer.person.user, "anna");
  EXPECT_EQ(answer.person.dn, Dn("anna"));
  EXPECT_EQ(answer.person.display_name, "Anna de Vries");
  EXPECT_THAT(answer.person.groups, UnorderedElementsAreArray(TenDeep()));
}

TEST_F(ActiveDirectoryTest, ManyAtOnceEachGetTheirs) {
  std::vector<std::pair<std::string, std::string>> people;
  for (int i = 0; i < 20; ++i) {
    people.emplace_back("ANNA", kPassword);
    people.emplace_back("nobody", kPassword);
  }
  const std::vector<DirectoryAnswer> answers = harness_.AuthenticateAll(people);
  for (size_t i = 0; i < people.size(); i += 2) {
    EXPECT_EQ(answers[i].outcome, DirectoryOutcome::kOk) << answers[i].detail;
    EXPECT_EQ(answers[i].person.dn, Dn("anna"));
    EXPECT_EQ(answers[i + 1].detail, "unknown user");
  }
}

TEST_F(ActiveDirectoryTest, GroupsAreFoundWithoutMemberOfToo) {
  DirectorySettings settings = Settings();
  settings.member_of_attribute.clear();
  DirectoryHarness harness(settings);
  const DirectoryAnswer answer = harness.Authenticate("anna", kPassword);
  ASSERT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_THAT(answer.person.groups, UnorderedElementsAreArray(TenDeep()));
}

TEST_F(ActiveDirectoryTest, CirclesEndAndOddNamesAreNames) {
  EXPECT_THAT(harness_.Authenticate("circle", kPassword).person.groups,
              UnorderedElementsAre(Dn("round1"), Dn("round2")));
  EXPECT_THAT(harness_.Authenticate("bob", kPassword).person.groups,
              ElementsAre(Dn("Zorg (jeugd)")));
}

TEST_F(ActiveDirectoryTest, WhoIsDeniedAndWhyIsToldInTheLogOnly) {
  ExpectDenied("anna", "wrong", "wrong password");
  ExpectDenied("nobody", kPassword, "unknown user");
  ExpectDenied("anna*", kPassword, "not a user name");
  ExpectDenied("disabled", kPassword, "account disabled");
  ExpectDenied("expired", kPassword, "account expired");
  ExpectDenied("mustchange", kPassword, "password must be changed");
}

TEST_F(ActiveDirectoryTest, WhoIsDeniedIsNotFoundEither) {
  EXPECT_TRUE(harness_.Find("anna").ok());
  EXPECT_EQ(harness_.Find("disabled").status(), absl::NotFoundError("account disabled"));
  EXPECT_EQ(harness_.Find("expired").status(), absl::NotFoundError("account expired"));
}

TEST_F(ActiveDirectoryTest, AnEmptyPasswordIsNoAnonymousBind) {
  EXPECT_EQ(harness_.Authenticate("anna", "").outcome, DirectoryOutcome::kDenied);
}

TEST_F(ActiveDirectoryTest, ALockedAccountStaysOutWithTheRightPassword) {
  for (int wrong = 0; wrong < 3; ++wrong) ExpectDenied("locked", "wrong", "wrong password");
  ExpectDenied("locked", kPassword, "account locked");
}

TEST_F(ActiveDirectoryTest, ReferralsOfTheDomainAreNotFollowed) {
  // A search from the domain's root answers with references to its other partitions.
  DirectorySettings settings = Settings();
  settings.user_base = OfDomain("WERKPLEK_AD_BASE");
  DirectoryHarness harness(settings);
  const DirectoryAnswer answer = harness.Authenticate("anna", kPassword);
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_THAT(answer.person.groups, SizeIs(10));
}

}  // namespace
}  // namespace werkplek
