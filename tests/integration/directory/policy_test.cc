// What slapd's password policy says, and who is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/integration/directory/directory_harness.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PolicyTest : public testing::Test {
 protected:
  static std::string Policy(const std::string& name, const std::string& rules) {
    return absl::StrCat("dn: cn=", name, ",ou=services,dc=voorbeeld,dc=nl\n",
                        "objectClass: applicationProcess\nobjectClass: pwdPolicy\ncn: ", name,
                        "\npwdAttribute: userPassword\n", rules, "\n");
  }

  static std::string Under(const std::string& policy) {
    return absl::StrCat("pwdPolicySubentry: cn=", policy, ",ou=services,dc=voorbeeld,dc=nl\n");
  }

  static SlapdOptions Options(DirectoryAuthority& authority) {
    const std::string an_hour_ago =
        absl::FormatTime("%Y%m%d%H%M%SZ", absl::Now() - absl::Hours(1), absl::UTCTimeZone());
    SlapdOptions options;
    options.certificate = authority.Issue({}, {"127.0.0.1"});
    options.password_policy = true;
    options.ldif =
        Policy("expiring", "pwdMaxAge: 259200\npwdExpireWarning: 259200\n") +
        Policy("expired", "pwdMaxAge: 3600\n") +
        Policy("grace", "pwdMaxAge: 3600\npwdGraceAuthNLimit: 2\n") +
        Policy("reset", "pwdMustChange: TRUE\n") + PersonLdif("jan", "right") +
        PersonLdif("soon", "right", Under("expiring") + "pwdChangedTime: " + an_hour_ago + "\n") +
        PersonLdif("late", "right", Under("expired") + "pwdChangedTime: 20200101000000Z\n") +
        PersonLdif("grace", "right", Under("grace") + "pwdChangedTime: 20200101000000Z\n") +
        PersonLdif("reset", "right", Under("reset") + "pwdReset: TRUE\n") +
        PersonLdif("off", "right", "pwdAccountLockedTime: 000001010000Z\n") +
        PersonLdif("ended", "right", "pwdEndTime: 20200101000000Z\n");
    return options;
  }

  PolicyTest()
      : slapd_(Options(authority_)), harness_(SettingsFor({slapd_.url()}, authority_.ca_file())) {}

  // Denied, and nothing is said that a stranger could learn from.
  void ExpectPlainDenial(const DirectoryAnswer& answer, const std::string& detail) {
    EXPECT_EQ(answer.outcome, DirectoryOutcome::kDenied);
    EXPECT_EQ(answer.detail, detail);
    EXPECT_THAT(answer.notices, IsEmpty());
    EXPECT_EQ(answer.person.user, "");
  }

  DirectoryAuthority authority_;
  Slapd slapd_;
  DirectoryHarness harness_;
};

TEST_F(PolicyTest, ThreeWrongPasswordsLockTheRightOneOut) {
  for (int i = 0; i < 3; ++i) {
    ExpectPlainDenial(harness_.Authenticate("jan", "wrong"), "wrong password");
  }
  ExpectPlainDenial(harness_.Authenticate("jan", "right"), "account locked");
  ExpectPlainDenial(harness_.Authenticate("jan", "wrong"), "account locked");
  EXPECT_NE(slapd_.Read(PersonDn("jan"), "pwdAccountLockedTime"), "");
  // Locked for now is not switched off.
  EXPECT_TRUE(harness_.Find("jan").ok());
}

TEST_F(PolicyTest, UnknownNamesLockNobody) {
  for (int i = 0; i < 50; ++i) harness_.Authenticate(absl::StrCat("nobody", i), "wrong");
  EXPECT_EQ(harness_.Authenticate("jan", "right").outcome, DirectoryOutcome::kOk);
  EXPECT_TRUE(harness_.Find("soon").ok());
}

TEST_F(PolicyTest, ExpirySoonIsToldToWhoProvedThePassword) {
  const DirectoryAnswer right = harness_.Authenticate("soon", "right");
  EXPECT_EQ(right.outcome, DirectoryOutcome::kOk);
  EXPECT_THAT(right.notices, ElementsAre(HasSubstr("Your password expires in 2 days")));
  ExpectPlainDenial(harness_.Authenticate("soon", "wrong"), "wrong password");
}

TEST_F(PolicyTest, ExpiredIsDenied) {
  ExpectPlainDenial(harness_.Authenticate("late", "right"), "password expired");
  ExpectPlainDenial(harness_.Authenticate("late", "wrong"), "wrong password");
}

TEST_F(PolicyTest, GraceIsCountedDownAndTold) {
  const DirectoryAnswer first = harness_.Authenticate("grace", "right");
  EXPECT_EQ(first.outcome, DirectoryOutcome::kOk);
  EXPECT_THAT(first.notices, ElementsAre(HasSubstr("Sign-ins left: 1")));
  ExpectPlainDenial(harness_.Authenticate("grace", "wrong"), "wrong password");
  EXPECT_THAT(harness_.Authenticate("grace", "right").notices,
              ElementsAre(HasSubstr("Sign-ins left: 0")));
  ExpectPlainDenial(harness_.Authenticate("grace", "right"), "password expired");
}

TEST_F(PolicyTest, APasswordSetBySomeoneElseIsToBeChanged) {
  const DirectoryAnswer answer = harness_.Authenticate("reset", "right");
  EXPECT_EQ(answer.outcome, DirectoryOutcome::kOk);
  EXPECT_THAT(answer.notices, ElementsAre(HasSubstr("change it now")));
  ExpectPlainDenial(harness_.Authenticate("reset", "wrong"), "wrong password");
}

TEST_F(PolicyTest, SwitchedOffIsDeniedAndNotFound) {
  ExpectPlainDenial(harness_.Authenticate("off", "right"), "account disabled");
  ExpectPlainDenial(harness_.Authenticate("off", "wrong"), "account disabled");
  EXPECT_EQ(harness_.Find("off").status().code(), absl::StatusCode::kNotFound);
  // Switched off while signed in: the next look finds nobody.
  EXPECT_TRUE(harness_.Find("jan").ok());
  slapd_.Modify("dn: " + PersonDn("jan") +
                "\nchangetype: modify\nadd: pwdAccountLockedTime\n"
                "pwdAccountLockedTime: 000001010000Z\n");
  EXPECT_EQ(harness_.Find("jan").status().code(), absl::StatusCode::kNotFound);
  ExpectPlainDenial(harness_.Authenticate("jan", "right"), "account disabled");
}

TEST_F(PolicyTest, WhoseTimeIsOverIsDeniedAndNotFound) {
  ExpectPlainDenial(harness_.Authenticate("ended", "right"), "account expired");
  EXPECT_EQ(harness_.Find("ended").status().code(), absl::StatusCode::kNotFound);
  // It comes while they are signed in: the next look finds nobody.
  EXPECT_TRUE(harness_.Find("jan").ok());
  slapd_.Modify("dn: " + PersonDn("jan") +
                "\nchangetype: modify\nadd: pwdEndTime\npwdEndTime: 20200101000000Z\n");
  EXPECT_EQ(harness_.Find("jan").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace werkplek
