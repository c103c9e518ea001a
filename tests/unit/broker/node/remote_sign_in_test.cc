// Sign-ins at a node that does not lead.
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RemoteSignInTest : public NodeHarness {
 protected:
  void SetUp() override {
    NodeHarness::SetUp();
    election_.SetWins(false);
    // A leader that has the harness' enrolments and says yes.
    leader_.get_enrolment = [this](const Caller& caller, const std::string& user,
                                   bool tries_password, EnrolmentCallback done) {
      EXPECT_EQ(caller.peer, client_.peer);
      if (tries_password) tried_.push_back(user);
      asked_.push_back(user);
      if (!outage_.ok()) return done(outage_);
      const auto found = enrolments_.find(user);
      if (found == enrolments_.end()) return done(nullptr);
      done(std::make_shared<const v1::TokenEnrolment>(found->second));
    };
    leader_.submit_sign_in = [this](const SignInChecked& checked, ReplyCallback done) {
      submitted_.push_back(checked);
      if (hold_) {
        held_ = std::move(done);
        return;
      }
      if (checked.directory != DirectoryOutcome::kOk || checked.matched_step < 0) {
        return done(absl::UnauthenticatedError("sign-in failed"));
      }
      auto response = std::make_shared<v1::SignInResponse>();
      response->set_display_name(checked.person.display_name);
      done(MessagePointer(std::move(response)));
    };
    Make();
    node_->Start();
    executor_.RunUntilIdle();
    ASSERT_EQ(node_->picture(), nullptr);
  }

  void Go() { executor_.Advance(absl::Milliseconds(50)); }

  Caller client_ = CallerOf("client/tc-1", v1::IDENTITY_CLIENT);
  absl::Status outage_;
  bool hold_ = false;
  ReplyCallback held_;
  std::vector<std::string> asked_;
  std::vector<std::string> tried_;
  std::vector<SignInChecked> submitted_;
};

TEST_F(RemoteSignInTest, IsJudgedHereAndDecidedByTheLeader) {
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  Go();
  ASSERT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
  const auto& response = static_cast<const v1::SignInResponse&>(***got.answer);
  EXPECT_EQ(response.display_name(), "Person jan");
  EXPECT_THAT(response.access_token(), StartsWith("wp1_"));
  ASSERT_EQ(submitted_.size(), 1u);
  const SignInChecked& facts = submitted_[0];
  EXPECT_EQ(facts.token_sha256, Sha256(response.access_token())) << "the leader gets the hash only";
  EXPECT_EQ(facts.caller.peer, "client/tc-1");
  EXPECT_EQ(facts.person.user, "jan");
  EXPECT_EQ(facts.seed_id, enrolments_.at("jan").seed_id());
  EXPECT_GE(facts.matched_step, 0);
  EXPECT_EQ(directory_.asked(), 1);
}

TEST_F(RemoteSignInTest, WrongCodesAndPasswordsAreToldToTheLeaderToo) {
  Got wrong_code;
  node_->SignIn(client_, SignInOf("jan", "000000"), wrong_code.Callback());
  v1::SignInRequest request = SignInOf("jan", Code("jan"));
  request.set_password("guess");
  Got wrong_password;
  node_->SignIn(client_, request, wrong_password.Callback());
  Go();
  EXPECT_EQ(wrong_code.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(wrong_password.code(), absl::StatusCode::kUnauthenticated);
  ASSERT_EQ(submitted_.size(), 2u);
  EXPECT_EQ(submitted_[0].matched_step, -1);
  EXPECT_EQ(submitted_[1].directory, DirectoryOutcome::kDenied);
}

TEST_F(RemoteSignInTest, WithoutALeaderNoPasswordIsTried) {
  outage_ = TryAgain();
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  Go();
  EXPECT_EQ(got.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(got.answer->status().message()), HasSubstr("temporarily unavailable"));
  EXPECT_EQ(directory_.asked(), 0);
  EXPECT_TRUE(submitted_.empty());
}

TEST_F(RemoteSignInTest, APlaceIsGivenBackOnEveryWay) {
  settings_.max_sign_ins_in_flight = 1;
  Make();
  node_->Start();
  executor_.RunUntilIdle();
  const auto sign_in = [this](const v1::SignInRequest& request) {
    Got got;
    node_->SignIn(client_, request, got.Callback());
    Go();
    return got.code();
  };
  EXPECT_EQ(sign_in(SignInOf("jan", Code("jan"))), absl::StatusCode::kOk);
  EXPECT_EQ(sign_in(SignInOf("jan", "000000")), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(sign_in(SignInOf("*)(uid=jan", "000000")), absl::StatusCode::kUnauthenticated);
  outage_ = TryAgain();
  EXPECT_EQ(sign_in(SignInOf("jan", Code("jan"))), absl::StatusCode::kUnavailable);
  outage_ = absl::OkStatus();
  directory_.SetOutage(DirectoryOutcome::kUnavailable);
  EXPECT_EQ(sign_in(SignInOf("jan", Code("jan"))), absl::StatusCode::kUnauthenticated)
      << "this leader says so";
  directory_.SetOutage(DirectoryOutcome::kOk);
  // The caller goes away while the directory thinks.
  directory_.SetDelay(absl::Seconds(1));
  {
    Got got;
    node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
    Go();
    EXPECT_EQ(sign_in(SignInOf("jan", Code("jan"))), absl::StatusCode::kResourceExhausted);
    election_.SetWins(true);
    executor_.Advance(absl::Seconds(2));
    EXPECT_EQ(got.code(), absl::StatusCode::kUnavailable);
  }
  directory_.SetDelay(absl::Milliseconds(1));
  EXPECT_EQ(sign_in(SignInOf("jan", Code("jan"))), absl::StatusCode::kOk) << "it leads itself now";
}

TEST_F(RemoteSignInTest, TheDirectorysSpellingDecidesWhoseSeedIsAsked) {
  // As a real directory does: any case finds the person, who has one name.
  directory_.AddPerson("JAN", "JAN-password", {"staff"});
  directory_.Rename("JAN", "jan");
  Got got;
  node_->SignIn(client_, SignInOf("JAN", Code("jan")), got.Callback());
  Go();
  ASSERT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
  EXPECT_THAT(asked_, ElementsAre("JAN", "jan"));
  EXPECT_EQ(submitted_.at(0).person.user, "jan");
  EXPECT_EQ(submitted_.at(0).typed_user, "JAN");
}

TEST_F(RemoteSignInTest, AMalformedNameTakesTheSameWay) {
  Got got;
  node_->SignIn(client_, SignInOf("*)(uid=jan", "123456"), got.Callback());
  Go();
  EXPECT_EQ(got.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(directory_.asked(), 1);
  EXPECT_EQ(directory_.last_asked().find('*'), std::string::npos);
  EXPECT_THAT(asked_, ElementsAre(""));
  EXPECT_EQ(submitted_.size(), 1u);
}

TEST_F(RemoteSignInTest, ABrokerThatIsElectedMeanwhileLetsItsCallersTryAgain) {
  hold_ = true;
  Got got;
  node_->SignIn(client_, SignInOf("jan", Code("jan")), got.Callback());
  Go();
  ASSERT_EQ(submitted_.size(), 1u);
  election_.SetWins(true);
  executor_.RunUntilIdle();
  EXPECT_EQ(got.code(), absl::StatusCode::kUnavailable);
  // What the former leader says after that is too late.
  held_(absl::UnauthenticatedError("sign-in failed"));
  Go();
  EXPECT_EQ(got.times, 1);
}

TEST_F(RemoteSignInTest, ASubmissionIsDecidedByWhoLeadsAndByNobodyElse) {
  SignInChecked checked;
  checked.caller = client_;
  checked.request_id = "r-1";
  checked.typed_user = "jan";
  checked.directory = DirectoryOutcome::kOk;
  checked.person.user = "jan";
  checked.seed_id = enrolments_.at("jan").seed_id();
  checked.matched_step = 1000;
  checked.token_sha256 = std::string(32, 't');
  checked.sign_in_id = "si-1";
  Got refused;
  node_->SubmitSignIn(checked, refused.Callback());
  Go();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  election_.SetWins(true);
  Go();
  ASSERT_NE(node_->picture(), nullptr);
  Got got;
  node_->SubmitSignIn(checked, got.Callback());
  Go();
  ASSERT_EQ(got.code(), absl::StatusCode::kOk) << got.answer->status();
  EXPECT_EQ(static_cast<const v1::SignInResponse&>(***got.answer).access_token(), "");
  EXPECT_NE(node_->picture()->sign_in_by_token.Find(checked.token_sha256), nullptr);
  // The code is used, whoever submits it again.
  checked.request_id = "r-2";
  checked.sign_in_id = "si-2";
  Got again;
  node_->SubmitSignIn(checked, again.Callback());
  Go();
  EXPECT_EQ(again.code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(RemoteSignInTest, TheNetworkIsJudgedHereAndNeverForAGateway) {
  settings_.token_waived_networks = {"0.0.0.0/0"};
  Make();
  node_->Start();
  executor_.RunUntilIdle();
  Got machine, browser;
  node_->SignIn(client_, SignInOf("jan", ""), machine.Callback());
  Go();
  client_ = CallerOf("gateway/gw-a", v1::IDENTITY_GATEWAY);
  node_->SignIn(client_, SignInOf("jan", ""), browser.Callback());
  Go();
  ASSERT_EQ(submitted_.size(), 2u);
  EXPECT_TRUE(submitted_[0].token_waived);
  EXPECT_FALSE(submitted_[1].token_waived);
}

}  // namespace
}  // namespace werkplek
