#include "client/ctl/people_commands.h"

#include <nlohmann/json.hpp>

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kUri[] =
    "otpauth://totp/Werkplek:jan?secret=JBSWY3DPEHPK3PXP&issuer=Werkplek&digits=6";

class PeopleCommandsTest : public CtlTest {
 protected:
  void SetUp() override {
    CtlTest::SetUp();
    v1::EnrolTokenResponse enrolment;
    enrolment.set_otpauth_uri(kUri);
    broker_.Reply("EnrolToken", enrolment);
    broker_.Reply("ConfirmToken", v1::ConfirmTokenResponse());
  }
};

TEST_F(PeopleCommandsTest, EnrolsAtATerminalWithTheFirstCode) {
  const Result result =
      RunAsked({"token", "enrol", "jan"}, {{"[y/N] ", "y\n"}, {"shows now: ", "123 456\n"}}, 120);
  EXPECT_EQ(result.code, ExitCode::kOk) << result.out;
  EXPECT_THAT(result.out, HasSubstr("Let jan scan this"));
  EXPECT_THAT(result.out, HasSubstr("█"));
  EXPECT_THAT(result.out, HasSubstr("JBSW Y3DP EHPK 3PXP"));
  EXPECT_THAT(result.out, HasSubstr("The token of jan is active."));
  EXPECT_EQ(broker_.Requests<v1::ConfirmTokenRequest>("ConfirmToken").at(0).code(), "123456");
}

TEST_F(PeopleCommandsTest, AWrongFirstCodeMayBeTriedAgain) {
  broker_.Once("ConfirmToken",
               FakeBroker::Fails(grpc::StatusCode::INVALID_ARGUMENT, "the code is wrong"));
  const Result result =
      RunAsked({"token", "enrol", "jan", "-y"},
               {{"shows now: ", "000000\n"}, {"wait for the next code", "111111\n"}}, 120);
  EXPECT_EQ(result.code, ExitCode::kOk) << result.out;
  EXPECT_EQ(broker_.Requests<v1::ConfirmTokenRequest>("ConfirmToken").size(), 2);
  broker_.Always("ConfirmToken",
                 FakeBroker::Fails(grpc::StatusCode::INVALID_ARGUMENT, "the code is wrong"));
  EXPECT_EQ(RunAsked({"token", "enrol", "jan", "-y"}, {{"shows now: ", "1\n2\n3\n"}}, 120).code,
            ExitCode::kRefused);
}

TEST_F(PeopleCommandsTest, ScriptsGetTheUriAndAreNotAsked) {
  const Result result = Run({"token", "enrol", "jan", "--yes", "-o", "json"});
  EXPECT_EQ(result.code, ExitCode::kOk);
  EXPECT_EQ(nlohmann::json::parse(result.out)["otpauth_uri"], kUri);
  EXPECT_EQ(result.err, "");
  const Result table = Run({"token", "enrol", "jan", "--yes"});
  EXPECT_THAT(table.out, HasSubstr("werkplekctl token confirm jan"));
  EXPECT_EQ(Run({"token", "enrol", "jan"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Requests<v1::ConfirmTokenRequest>("ConfirmToken").empty());
}

TEST_F(PeopleCommandsTest, ConfirmsFromStandardInput) {
  EXPECT_EQ(Run({"token", "confirm", "jan"}, "654321\n").out, "The token of jan is active.\n");
  EXPECT_EQ(broker_.Requests<v1::ConfirmTokenRequest>("ConfirmToken").at(0).code(), "654321");
}

TEST_F(PeopleCommandsTest, RevokesATokenAfterAsking) {
  broker_.Reply("RevokeToken", v1::RevokeTokenResponse());
  EXPECT_EQ(Run({"token", "revoke", "jan"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Methods().empty());
  EXPECT_EQ(Run({"token", "revoke", "jan", "--yes"}).code, ExitCode::kOk);
  EXPECT_EQ(broker_.Requests<v1::RevokeTokenRequest>("RevokeToken").at(0).user(), "jan");
}

TEST_F(PeopleCommandsTest, ListsTokens) {
  v1::ListTokensResponse all;
  all.add_tokens()->set_user("jan");
  all.mutable_tokens(0)->set_state("paused");
  all.mutable_tokens(0)->set_failures(5);
  broker_.Reply("ListTokens", all);
  EXPECT_EQ(Run({"token", "list"}).out,
            "USER  STATE   WRONG CODES  PAUSED UNTIL  MADE\njan   paused            5  -           "
            "  -\n");
}

TEST_F(PeopleCommandsTest, ListsAndRevokesSignIns) {
  v1::ListSignInsResponse all;
  v1::SignInView* view = all.add_sign_ins();
  view->set_id("si-1");
  view->set_user("jan");
  view->add_roles(v1::ROLE_EMPLOYEE);
  view->add_roles(v1::ROLE_HELPDESK);
  broker_.Reply("ListSignIns", all);
  EXPECT_THAT(Run({"sign-in", "list"}).out, HasSubstr("employee,helpdesk"));
  v1::RevokeSignInsResponse revoked;
  revoked.set_revoked(1);
  broker_.Reply("RevokeSignIns", revoked);
  EXPECT_EQ(Run({"sign-in", "revoke", "si-1", "--yes"}).out, "1 sign-in revoked\n");
  EXPECT_EQ(Run({"sign-in", "revoke", "--user", "jan", "--yes"}).code, ExitCode::kOk);
  EXPECT_EQ(Run({"sign-in", "revoke", "--all", "--yes"}).code, ExitCode::kOk);
  const auto sent = broker_.Requests<v1::RevokeSignInsRequest>("RevokeSignIns");
  ASSERT_EQ(sent.size(), 3);
  EXPECT_EQ(sent[0].id(), "si-1");
  EXPECT_EQ(sent[1].user(), "jan");
  EXPECT_TRUE(sent[2].all());
  EXPECT_EQ(Run({"sign-in", "revoke", "--yes"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"sign-in", "revoke", "x", "--all", "--yes"}).code, ExitCode::kUsage);
  EXPECT_EQ(Run({"sign-in", "revoke", "--all"}).code, ExitCode::kUsage);
}

TEST_F(PeopleCommandsTest, SaysWhoIsNotSignedIn) {
  broker_.Reply("RevokeSignIns", v1::RevokeSignInsResponse());
  const Result result = Run({"sign-in", "revoke", "--user", "jna", "--yes"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err,
            "werkplekctl: jna is not signed in\n"
            "See what there is with: werkplekctl sign-in list\n");
}

TEST_F(PeopleCommandsTest, SignsTheAdminInAndOut) {
  v1::SignInResponse signed_in;
  signed_in.set_access_token("n3w-token");
  signed_in.set_display_name("Bea Heer");
  signed_in.set_expires_unix_ms(absl::ToUnixMillis(kNow + absl::Hours(12)));
  signed_in.add_roles(v1::ROLE_ADMINISTRATOR);
  broker_.Reply("SignIn", signed_in);
  const Result result = Run({"sign-in", "--user", "beheer"}, "geheim\n123456\n");
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Signed in as Bea Heer (administrator), until "));
  EXPECT_EQ(Tokens().Load(kNow)->access_token.Reveal(), "n3w-token");
  const Result json = Run({"sign-in", "--user", "beheer", "-o", "json"}, "geheim\n123456\n");
  EXPECT_THAT(json.out, Not(HasSubstr("n3w-token")));
  broker_.Reply("SignOut", v1::SignOutResponse());
  EXPECT_EQ(Run({"sign-out"}).out, "Signed out.\n");
  EXPECT_EQ(broker_.LastAuthorization(), "Bearer n3w-token");
  EXPECT_EQ(Run({"token", "list"}).code, ExitCode::kSignInFailed);
}

TEST_F(PeopleCommandsTest, AFailedSignInSaysWhatToCheck) {
  broker_.Always("SignIn", FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "sign-in failed"));
  const Result result = Run({"sign-in", "--user", "beheer"}, "x\n1\n");
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_THAT(result.err, HasSubstr("a code works once"));
}

TEST_F(PeopleCommandsTest, APauseOfWrongPasswordsSaysHowLong) {
  broker_.Always("SignIn",
                 FakeBroker::Fails(grpc::StatusCode::UNAUTHENTICATED, "too many", "60001"));
  const Result result = Run({"sign-in", "--user", "beheer"}, "x\n1\n");
  EXPECT_EQ(result.code, ExitCode::kSignInFailed);
  EXPECT_THAT(result.err, HasSubstr("Wait 2 minutes."));
}

TEST(TypedSeed, GroupsTheSecret) {
  EXPECT_EQ(TypedSeed("otpauth://totp/x?secret=ABCDEFGHIJ&issuer=y"), "ABCD EFGH IJ");
  EXPECT_EQ(TypedSeed("otpauth://totp/x?issuer=y"), "");
}

}  // namespace
}  // namespace werkplek
