// LdapDirectory against a real slapd: who gets in, who does not, and what goes over the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string& Utf8Password() {
  static const std::string password = "p\xc3\xa4ssw\xc3\xb6rd \xe2\x82\xac \xf0\x9f\x94\x91 ";
  return password;
}

class SignInTest : public testing::Test {
 protected:
  static SlapdOptions Options(DirectoryAuthority& authority) {
    SlapdOptions options;
    options.certificate = authority.Issue({"ldap.voorbeeld.nl"}, {"127.0.0.1"});
    // The trap of RFC 4513 section 5.1.2: a name without a password "succeeds".
    options.global_config = "allow bind_anon_dn";
    options.ldif = PersonLdif("jan", "right") + PersonLdif("Piet.de-Vries", "also right") +
                   PersonLdif("utf", Utf8Password()) + PersonLdif("long", std::string(1024, 'x')) +
                   PersonLdif("empty", "") + PersonLdif("twin", "a", "uid: double\n") +
                   PersonLdif("twin2", "b", "uid: double\n") +
                   GroupLdif("burgerzaken", {PersonDn("jan")}) +
                   GroupLdif("gemeente", {GroupDn("burgerzaken")}) +
                   GroupLdif("beheerders", {PersonDn("Piet.de-Vries")});
    return options;
  }

  SignInTest() : slapd_(Options(authority_)), harness_(Settings()) {
    EXPECT_TRUE(harness_.status().ok()) << harness_.status();
  }

  DirectorySettings Settings() const { return SettingsFor({slapd_.url()}, authority_.ca_file()); }

  // What is typed, and who that is, or why nobody.
  struct Case {
    std::string user, password, who, detail;
  };
  static constexpr size_t kMany = 504;

  // The cases in turn, all at once.
  void ExpectMany(const std::vector<Case>& cases) {
    std::vector<std::pair<std::string, std::string>> people;
    for (size_t i = 0; i < kMany; ++i) {
      people.emplace_back(cases[i % cases.size()].user, cases[i % cases.size()].password);
    }
    const std::vector<DirectoryAnswer> answers = harness_.AuthenticateAll(people);
    for (size_t i = 0; i < kMany; ++i) {
      const auto& [user, password, who, detail] = cases[i % cases.size()];
      EXPECT_EQ(answers[i].outcome, who.empty() ? DirectoryOutcome::kDenied : DirectoryOutcome::kOk)
          << user;
      EXPECT_EQ(answers[i].detail, detail) << user;
      EXPECT_EQ(answers[i].person.user, who) << user;
      EXPECT_EQ(answers[i].person.dn, who.empty() ? "" : PersonDn(who)) << user;
    }
  }

  DirectoryAuthority authority_;
  Slapd slapd_;
  DirectoryHarness harness_;
};

TEST_F(SignInTest, RightPasswordGivesThePersonWithAllGroups) {
  const DirectoryAnswer answer = harness_.Authenticate("jan", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_EQ(answer.person.user, "jan");
  EXPECT_EQ(answer.person.dn, PersonDn("jan"));
  EXPECT_EQ(answer.person.display_name, "Mx. jan");
  EXPECT_THAT(answer.person.groups, ElementsAre(GroupDn("burgerzaken"), GroupDn("gemeente")));
  EXPECT_THAT(answer.notices, IsEmpty());
}

TEST_F(SignInTest, WrongAndUnknownAreDeniedAlike) {
  const DirectoryAnswer wrong = harness_.Authenticate("jan", "wrong");
  EXPECT_EQ(wrong.outcome, DirectoryOutcome::kDenied);
  EXPECT_EQ(wrong.detail, "wrong password");
  const DirectoryAnswer unknown = harness_.Authenticate("nobody", "right");
  EXPECT_EQ(unknown.outcome, DirectoryOutcome::kDenied);
  EXPECT_EQ(unknown.detail, "unknown user");
  for (const DirectoryAnswer& answer : {wrong, unknown}) {
    EXPECT_EQ(answer.person.user, "");
    EXPECT_THAT(answer.person.groups, IsEmpty());
    EXPECT_THAT(answer.notices, IsEmpty());
  }
  // Both cost one bind: an unknown name is judged against a name that does not exist.
  EXPECT_EQ(slapd_.CountInLog("BIND dn=\"" + PersonDn("jan") + "\" method=128"), 1);
  EXPECT_EQ(slapd_.CountInLog("BIND dn=\"" + PersonDn("werkplek.nobody") + "\" method=128"), 1);
}

TEST_F(SignInTest, TheDirectorysSpellingIsTheName) {
  const DirectoryAnswer answer = harness_.Authenticate("PIET.DE-vries", "also right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk) << answer.detail;
  EXPECT_EQ(answer.person.user, "Piet.de-Vries");
  EXPECT_THAT(answer.person.groups, ElementsAre(GroupDn("beheerders")));
}

TEST_F(SignInTest, PasswordsAreBytes) {
  EXPECT_EQ(harness_.Authenticate("utf", Utf8Password()).outcome, DirectoryOutcome::kOk);
  // The same letters, composed of other bytes; a cut; a trimmed end.
  EXPECT_EQ(harness_.Authenticate("utf", "pa\xcc\x88" + Utf8Password().substr(3)).outcome,
            DirectoryOutcome::kDenied);
  EXPECT_EQ(
      harness_.Authenticate("utf", Utf8Password().substr(0, Utf8Password().size() - 1)).outcome,
      DirectoryOutcome::kDenied);
  EXPECT_EQ(harness_.Authenticate("utf", Utf8Password() + " ").outcome, DirectoryOutcome::kDenied);
  EXPECT_EQ(harness_.Authenticate("jan", "Right").outcome, DirectoryOutcome::kDenied);
  EXPECT_EQ(harness_.Authenticate("long", std::string(1024, 'x')).outcome, DirectoryOutcome::kOk);
  EXPECT_EQ(harness_.Authenticate("long", std::string(1023, 'x')).outcome,
            DirectoryOutcome::kDenied);
}

TEST_F(SignInTest, PasswordsThatWouldBindAnonymouslyNeverReachTheServer) {
  ASSERT_EQ(harness_.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  const int searches = slapd_.CountInLog(" SRCH ");
  const int binds = slapd_.CountInLog(" BIND dn=\"uid=");
  for (const std::string& password :
       {std::string(), std::string(1, '\0'), std::string("\0right", 6), std::string("right\0", 6),
        std::string("   "), std::string(1025, 'x')}) {
    for (const char* user : {"jan", "empty", "nobody"}) {
      const DirectoryAnswer answer = harness_.Authenticate(user, password);
      EXPECT_EQ(answer.outcome, DirectoryOutcome::kDenied);
      EXPECT_THAT(answer.detail, HasSubstr("password"));
    }
  }
  EXPECT_EQ(slapd_.CountInLog(" SRCH "), searches);
  EXPECT_EQ(slapd_.CountInLog(" BIND dn=\"uid="), binds);
  EXPECT_EQ(slapd_.CountInLog(" BIND dn=\"\""), 0);
  // The trap is real on this server: the same bind by another client succeeds.
  const absl::StatusOr<std::string> trap =
      RunProgram({"ldapwhoami", "-x", "-H", slapd_.local_url(), "-D", PersonDn("jan"), "-w", ""});
  ASSERT_TRUE(trap.ok()) << trap.status();
  EXPECT_THAT(*trap, HasSubstr("anonymous"));
}

TEST_F(SignInTest, APersonWithoutAPasswordCannotSignIn) {
  EXPECT_EQ(harness_.Authenticate("empty", "x").outcome, DirectoryOutcome::kDenied);
}

TEST_F(SignInTest, ANameOfTwoPeopleIsNobodys) {
  for (const char* password : {"a", "b"}) {
    const DirectoryAnswer answer = harness_.Authenticate("double", password);
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kDenied);
    EXPECT_EQ(answer.detail, "more than one person has this name");
  }
  EXPECT_EQ(harness_.Find("double").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SignInTest, FindNeedsNoPassword) {
  const absl::StatusOr<DirectoryPerson> jan = harness_.Find("JAN");
  ASSERT_TRUE(jan.ok()) << jan.status();
  EXPECT_EQ(jan->user, "jan");
  EXPECT_THAT(jan->groups, ElementsAre(GroupDn("burgerzaken"), GroupDn("gemeente")));
  EXPECT_EQ(harness_.Find("nobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(harness_.Find("*").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SignInTest, SearchesRunAsTheServiceAccountAfterFailedBinds) {
  // Only the service account may read; everyone else would find nobody.
  std::mt19937 random(4513);
  for (int i = 0; i < 200; ++i) {
    switch (random() % 4) {
      case 0:
        EXPECT_EQ(harness_.Authenticate("jan", "wrong").outcome, DirectoryOutcome::kDenied);
        break;
      case 1:
        EXPECT_EQ(harness_.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
        break;
      case 2:
        EXPECT_EQ(harness_.Authenticate("nobody", "x").outcome, DirectoryOutcome::kDenied);
        break;
      default:
        EXPECT_TRUE(harness_.Find("jan").ok());
    }
  }
  // On the wire: a connection that searched bound once, as the service account, and a connection
  // that bound a person never searched.
  std::set<std::string> searching, binding;
  for (const absl::string_view line : absl::StrSplit(slapd_.Log(), '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() < 4) continue;
    const auto connection = std::find_if(words.begin(), words.end(), [](absl::string_view word) {
      return absl::StartsWith(word, "conn=");
    });
    if (connection == words.end()) continue;
    if (absl::StrContains(line, " SRCH base=")) searching.emplace(*connection);
    if (absl::StrContains(line, " BIND dn=\"uid=")) binding.emplace(*connection);
  }
  EXPECT_FALSE(searching.empty());
  EXPECT_FALSE(binding.empty());
  for (const std::string& connection : binding) EXPECT_FALSE(searching.contains(connection));
  // Kept alive: 150 binds took a handful of connections.
  EXPECT_LE(binding.size(), 2u);
}

TEST_F(SignInTest, ManyAtOnceAreAskedForTogetherAndEachGetsTheirs) {
  ExpectMany({{"jan", "right", "jan", ""},
              {"utf", Utf8Password(), "utf", ""},
              {"JAN", "right", "jan", ""},
              {"jan", "wrong", "", "wrong password"},
              {"nobody", "right", "", "unknown user"},
              {"piet.de-vries", "also right", "Piet.de-Vries", ""}});
  EXPECT_GT(slapd_.CountInLog("filter=\"(|(uid="), 0);
  // Sixteen in one search; a few may have gone before the others came.
  EXPECT_LE(slapd_.CountInLog(absl::StrCat("SRCH base=\"", Slapd::kPeople)), kMany / 8);
}

TEST_F(SignInTest, AmongManyANameOfTwoPeopleIsNobodysToo) {
  ExpectMany({{"jan", "right", "jan", ""},
              {"double", "a", "", "more than one person has this name"},
              {"twin", "a", "twin", ""},
              {"twin2", "b", "twin2", ""}});
}

}  // namespace
}  // namespace werkplek
