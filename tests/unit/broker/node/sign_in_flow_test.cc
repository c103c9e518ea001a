#include "broker/node/sign_in_flow.h"

#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SignInFlowTest : public NodeHarness {
 protected:
  Caller client_ = CallerOf("client/tc-1", v1::IDENTITY_CLIENT);
};

TEST_F(SignInFlowTest, GivesATokenThatOnlyTheClientKnows) {
  StartLeading();
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  ASSERT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
  const auto& response = static_cast<const v1::SignInResponse&>(***got.answer);
  EXPECT_THAT(response.access_token(), StartsWith("wp1_"));
  EXPECT_EQ(response.access_token().size(), 4u + 43u);
  const Picture fleet = node_->picture();
  EXPECT_NE(fleet->sign_in_by_token.Find(Sha256(response.access_token())), nullptr);
  for (const auto& [name, value] : memory_.Records()) {
    EXPECT_THAT(value, ::testing::Not(HasSubstr(response.access_token())));
  }
}

TEST_F(SignInFlowTest, WrongPasswordWrongCodeAndUnknownUserAreOneAnswer) {
  StartLeading();
  std::vector<std::string> answers;
  v1::SignInRequest wrong_password = SignInOf("jan", Code("jan"));
  wrong_password.set_password("guess");
  for (const v1::SignInRequest& request :
       {wrong_password, SignInOf("jan", "000000"), SignInOf("nobody", "123456"),
        SignInOf("jan) (uid=*", "123456"), SignInOf("jan", "12345x"), SignInOf("jan", "")}) {
    Got got;
    node_->SignIn(client_, request, got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    ASSERT_TRUE(got.answer.has_value());
    EXPECT_EQ(got.code(), absl::StatusCode::kUnauthenticated) << request.user();
    answers.emplace_back(got.answer->status().message());
  }
  for (const std::string& answer : answers) EXPECT_EQ(answer, answers[0]);
}

TEST_F(SignInFlowTest, AMalformedNameNeverReachesTheDirectoryButTakesAsLong) {
  StartLeading();
  directory_.SetDelay(absl::Milliseconds(700));
  Got got;
  node_->SignIn(client_, SignInOf("*)(uid=jan", "123456"), got.Callback());
  executor_.Advance(absl::Milliseconds(650));
  EXPECT_FALSE(got.answer.has_value());
  EXPECT_EQ(directory_.asked(), 1);
  EXPECT_EQ(directory_.last_asked().find('*'), std::string::npos);
  EXPECT_NE(directory_.last_asked(), "jan");
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(got.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(SignInFlowTest, WhatIsEmptyOrTooLongIsNamedWithoutTheDirectory) {
  StartLeading();
  v1::SignInRequest no_user = SignInOf("", "123456");
  v1::SignInRequest long_user = SignInOf(std::string(65, 'a'), "123456");
  v1::SignInRequest no_password = SignInOf("jan", "123456");
  no_password.clear_password();
  v1::SignInRequest long_password = SignInOf("jan", "123456");
  long_password.set_password(std::string(1025, 'p'));
  v1::SignInRequest long_code = SignInOf("jan", std::string(17, '1'));
  v1::SignInRequest no_id = SignInOf("jan", "123456");
  no_id.clear_request_id();
  v1::SignInRequest long_fact = SignInOf("jan", "123456");
  long_fact.mutable_client()->set_host_name(std::string(257, 'h'));
  const std::vector<std::pair<v1::SignInRequest, std::string>> cases = {
      {no_user, "user"},
      {long_user, "user"},
      {no_password, "password"},
      {long_password, "password"},
      {long_code, "token_code"},
      {no_id, "request_id"},
      {long_fact, "client.host_name"}};
  for (const auto& [request, field] : cases) {
    Got got;
    node_->SignIn(client_, request, got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_EQ(got.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(got.answer->status().message()), StartsWith(field + ":"));
  }
  EXPECT_EQ(directory_.asked(), 0);
}

TEST_F(SignInFlowTest, ThePasswordIsTakenAsItIs) {
  StartLeading();
  directory_.AddPerson("jan", " wacht woord\xc3\xab\x01 ", {"staff"});
  v1::SignInRequest request = SignInOf("jan", Code("jan"));
  request.set_password(" wacht woord\xc3\xab\x01 ");
  Got got;
  node_->SignIn(client_, request, got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
}

TEST_F(SignInFlowTest, ADirectoryThatIsAwayIsNotAWrongPassword) {
  StartLeading();
  for (const auto& [outage, code] :
       {std::make_pair(DirectoryOutcome::kUnavailable, absl::StatusCode::kUnavailable),
        std::make_pair(DirectoryOutcome::kOverloaded, absl::StatusCode::kResourceExhausted)}) {
    directory_.SetOutage(outage);
    Got got;
    node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_EQ(got.code(), code);
  }
  directory_.SetOutage(DirectoryOutcome::kOk);
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(got.code(), absl::StatusCode::kOk) << "the code was not used up by the outage";
}

TEST_F(SignInFlowTest, TooManyAtOnceAreToldToComeBack) {
  settings_.max_sign_ins_in_flight = 3;
  StartLeading();
  directory_.SetDelay(absl::Seconds(1));
  std::vector<Got> got(5);
  for (Got& each : got) node_->SignIn(client_, SignInOf("jan", "000000"), each.Callback());
  executor_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(got[3].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(got[4].code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(directory_.asked(), 3);
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(got[0].code(), absl::StatusCode::kUnauthenticated);
  Got later;
  node_->SignIn(client_, SignInOf("jan", "000000"), later.Callback());
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(later.code(), absl::StatusCode::kUnauthenticated) << "places come free again";
}

TEST_F(SignInFlowTest, ACodeIsJudgedWhenItCameHoweverSlowTheDirectory) {
  StartLeading();
  directory_.SetDelay(absl::Seconds(65));
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  executor_.Advance(absl::Seconds(70));
  EXPECT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
}

TEST_F(SignInFlowTest, WhoGivesUpKeepsTheCode) {
  StartLeading();
  const std::string code = Code("jan");
  directory_.SetDelay(absl::Seconds(1));
  Got gone;
  node_->SignIn(client_, SignInOf("jan", code), gone.Callback());
  executor_.Advance(absl::Milliseconds(100));
  node_->Cancel(1);
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(gone.times, 0);
  Got again;
  node_->SignIn(client_, SignInOf("jan", code), again.Callback());
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(again.code(), absl::StatusCode::kOk);
}

TEST_F(SignInFlowTest, ACodeWorksOnceAlsoAfterARestart) {
  StartLeading();
  const std::string code = Code("jan");
  Got first, second, third;
  node_->SignIn(client_, SignInOf("jan", code), first.Callback());
  node_->SignIn(client_, SignInOf("jan", code), second.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(first.code(), absl::StatusCode::kOk);
  EXPECT_EQ(second.code(), absl::StatusCode::kUnauthenticated);
  node_.reset();
  StartLeading();
  node_->SignIn(client_, SignInOf("jan", code), third.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(third.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(SignInFlowTest, TheTokenIsWaivedOnlyInListedNetworks) {
  settings_.token_waived_networks = {"192.0.2.0/24", "this is no network"};
  StartLeading();
  Got inside, outside;
  node_->SignIn(client_, SignInOf("jan", ""), inside.Callback());
  Caller elsewhere = client_;
  elsewhere.address = "198.51.100.7:1000";
  node_->SignIn(elsewhere, SignInOf("jan", ""), outside.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(inside.code(), absl::StatusCode::kOk);
  EXPECT_EQ(outside.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(SignInFlowTest, EnrolsAndConfirmsUnderTheDirectorysName) {
  settings_.role_groups.emplace_back(v1::ROLE_HELPDESK, "admins");
  directory_.AddPerson("Piet", "Piet-password", {"staff"});
  StartLeading();
  const Caller admin = SignedInAdmin();
  auto enrol = std::make_shared<v1::EnrolTokenRequest>();
  enrol->set_request_id("enrol-1");
  enrol->set_user("Piet");
  Got enrolled;
  node_->Call(admin, enrol, enrolled.Callback());
  executor_.Advance(absl::Milliseconds(50));
  ASSERT_EQ(enrolled.code(), absl::StatusCode::kOk) << enrolled.answer->status();
  const auto& uri = static_cast<const v1::EnrolTokenResponse&>(***enrolled.answer).otpauth_uri();
  EXPECT_THAT(uri, StartsWith("otpauth://totp/"));
  for (const auto& [name, value] : memory_.Records()) {
    EXPECT_THAT(value, ::testing::Not(HasSubstr("otpauth"))) << name.first;
  }
  enrolments_["Piet"] = *node_->picture()->tokens.Find("Piet");
  EXPECT_EQ(enrolments_["Piet"].state(), v1::TOKEN_STATE_PENDING);

  auto confirm = std::make_shared<v1::ConfirmTokenRequest>();
  confirm->set_request_id("confirm-1");
  confirm->set_user("Piet");
  confirm->set_code(Code("Piet"));
  Got confirmed;
  node_->Call(admin, confirm, confirmed.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(confirmed.code(), absl::StatusCode::kOk) << confirmed.answer->status();

  // The seed is shown while it waits for its first code, and never again.
  Got again;
  node_->Call(admin, enrol, again.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition) << again.answer->status();
}

TEST_F(SignInFlowTest, EnrolsNobodyWhomTheDirectoryDoesNotKnow) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  for (const char* user : {"nobody", "not a name", ""}) {
    auto enrol = std::make_shared<v1::EnrolTokenRequest>();
    enrol->set_request_id("enrol-1");
    enrol->set_user(user);
    Got got;
    node_->Call(admin, enrol, got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_THAT(got.code(),
                ::testing::AnyOf(absl::StatusCode::kNotFound, absl::StatusCode::kInvalidArgument))
        << user;
    EXPECT_THAT(std::string(got.answer->status().message()), StartsWith("user:"));
  }
}

TEST(SignInRulesTest, RolesComeFromGroupsByNameOrDn) {
  const std::vector<std::pair<v1::Role, std::string>> rules = {
      {v1::ROLE_ADMINISTRATOR, "cn=Beheer,ou=groups,dc=example,dc=nl"},
      {v1::ROLE_HELPDESK, "servicedesk"},
      {v1::ROLE_HELPDESK, "helpdesk"}};
  EXPECT_THAT(RolesOf({}, rules), ElementsAre(v1::ROLE_EMPLOYEE));
  EXPECT_THAT(RolesOf({"cn=beheer,ou=groups,dc=example,dc=nl"}, rules),
              ElementsAre(v1::ROLE_EMPLOYEE, v1::ROLE_ADMINISTRATOR));
  EXPECT_THAT(RolesOf({"cn=beheer,ou=elsewhere,dc=example,dc=nl"}, rules),
              ElementsAre(v1::ROLE_EMPLOYEE));
  EXPECT_THAT(RolesOf({"cn=servicedesk,ou=g,dc=nl", "cn=helpdesk,ou=g,dc=nl"}, rules),
              ElementsAre(v1::ROLE_EMPLOYEE, v1::ROLE_HELPDESK));
}

TEST_F(SignInFlowTest, TheTokenIsNeverWaivedThroughAGateway) {
  settings_.token_waived_networks = {"0.0.0.0/0", "::/0"};
  StartLeading();
  const Caller gateway = CallerOf("gateway/gw-a", v1::IDENTITY_GATEWAY);
  Got without, with;
  node_->SignIn(gateway, SignInOf("jan", ""), without.Callback());
  node_->SignIn(gateway, SignInOf("jan", Code("jan")), with.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(without.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(with.code(), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace werkplek
