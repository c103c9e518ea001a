#include "broker/core/sign_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "broker/core/access.h"
#include "tests/unit/broker/core/driver.h"

namespace werkplek {
namespace {

class SignInTest : public testing::Test {
 protected:
  SignInTest() { driver_.Enrol("jan"); }

  // The answer to the event.
  Reply Try(const SignInChecked& event) {
    driver_.Apply(event);
    for (const Effect& effect : driver_.latest) {
      if (const auto* reply = std::get_if<Reply>(&effect)) return *reply;
    }
    return {};
  }
  // The one answer to everything that concerns the person, and its true reason in the log.
  void ExpectDenied(const SignInChecked& event, const std::string& rule) {
    driver_.Forget();
    const Reply reply = Try(event);
    EXPECT_EQ(reply.status, absl::UnauthenticatedError("sign-in failed")) << rule;
    EXPECT_TRUE(driver_.Logged("sign-in", "result", rule)) << rule;
    EXPECT_EQ(driver_.audit().back().action(), "sign-in");
    EXPECT_EQ(driver_.audit().back().result(), rule);
    EXPECT_EQ(driver_.fleet().sign_ins.Find(event.sign_in_id), nullptr);
  }
  SignInChecked WithStep(int64_t step) {
    SignInChecked event = driver_.GoodSignIn("jan");
    event.matched_step = step;
    return event;
  }
  const v1::TokenEnrolment& Token() { return *driver_.fleet().tokens.Find("jan"); }
  void PutToken(const v1::TokenEnrolment& token) {
    v1::Change change;
    change.set_table(std::string(kTokenTable));
    change.set_key(token.user());
    change.set_value(token.SerializeAsString());
    ASSERT_TRUE(ApplyChange(change, const_cast<Fleet&>(driver_.fleet())));
  }

  Driver driver_;
};

TEST_F(SignInTest, PasswordAndCodeMakeASignIn) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.roles = {v1::ROLE_HELPDESK};
  event.notices = {"your password expires in 3 days"};
  const Reply reply = Try(event);
  ASSERT_TRUE(reply.status.ok()) << reply.status;
  const auto& response = static_cast<const v1::SignInResponse&>(*reply.response);
  EXPECT_EQ(response.access_token(), "");  // The core does not know it.
  EXPECT_EQ(response.display_name(), "Person jan");
  EXPECT_EQ(response.idle_limit_s(), 1800u);
  EXPECT_EQ(response.expires_unix_ms(), absl::ToUnixMillis(driver_.now + absl::Hours(12)));
  EXPECT_THAT(response.roles(), testing::ElementsAre(v1::ROLE_EMPLOYEE, v1::ROLE_HELPDESK));
  EXPECT_THAT(response.notices(), testing::ElementsAre("your password expires in 3 days"));
  const v1::SignIn& sign_in = *driver_.fleet().sign_ins.Find(event.sign_in_id);
  EXPECT_EQ(sign_in.user(), "jan");
  EXPECT_EQ(sign_in.token_sha256(), event.token_sha256);
  EXPECT_EQ(sign_in.certificate_sha256(), event.caller.certificate_sha256);
  EXPECT_EQ(Token().last_step(), event.matched_step);
  EXPECT_EQ(driver_.audit().back().result(), "ok");
  EXPECT_EQ(driver_.audit().back().actor(), "user:jan");
  EXPECT_EQ(driver_.audit().back().origin(), "admin/desk-1 192.0.2.7:51234");
}

TEST_F(SignInTest, EverythingThatConcernsThePersonIsOneAnswer) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.directory = DirectoryOutcome::kDenied;
  event.directory_detail = "unknown user";
  ExpectDenied(event, "unknown user");
  event.call += 100'000;
  event.directory_detail = "wrong password";
  ExpectDenied(event, "wrong password");
  event = WithStep(-1);
  ExpectDenied(event, "wrong-code");
  event = WithStep(0);  // Not above the last one.
  ExpectDenied(event, "code-used-already");
  event = driver_.GoodSignIn("jan");
  event.seed_id = "seed-0";
  ExpectDenied(event, "token-replaced");
  const uint32_t counted = Token().failures();
  event = driver_.GoodSignIn("jan");
  event.seed_id = "";  // The broker that judged has another key.
  event.matched_step = -2;
  ExpectDenied(event, "code-not-judged");
  EXPECT_EQ(Token().failures(), counted);
  event = driver_.GoodSignIn("piet");  // Never enrolled.
  ExpectDenied(event, "not-enrolled");
  v1::TokenEnrolment token = Token();
  token.set_state(v1::TOKEN_STATE_PENDING);
  PutToken(token);
  ExpectDenied(driver_.GoodSignIn("jan"), "not-enrolled");
  token.set_state(v1::TOKEN_STATE_REVOKED);
  PutToken(token);
  ExpectDenied(driver_.GoodSignIn("jan"), "token-revoked");
}

TEST_F(SignInTest, ACodeCountsOnceForTheNextLeaderToo) {
  const SignInChecked first = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(first).status.ok());
  ASSERT_TRUE(driver_.Call(first.token_sha256, v1::SignOutRequest()).ok());
  driver_.Restart();
  SignInChecked again = driver_.GoodSignIn("jan");
  again.matched_step = first.matched_step;
  ExpectDenied(again, "code-used-already");
}

TEST_F(SignInTest, ItsRequestIsNoRecordOfItsOwn) {
  std::vector<std::string> tables;
  driver_.check = [&](const Event& /*event*/, const Decision& decision) {
    for (const v1::Change& change : decision.changes) tables.push_back(change.table());
  };
  ASSERT_TRUE(Try(driver_.GoodSignIn("jan")).status.ok());
  EXPECT_THAT(tables, testing::UnorderedElementsAre(kAuditTable, kSignInTable, kTokenTable));
}

TEST_F(SignInTest, ACodeCountsOnce) {
  const SignInChecked first = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(first).status.ok());
  SignInChecked again = driver_.GoodSignIn("jan");
  again.matched_step = first.matched_step;
  ExpectDenied(again, "code-used-already");
  again = driver_.GoodSignIn("jan");
  again.matched_step = first.matched_step - 1;
  ExpectDenied(again, "code-used-already");
}

TEST_F(SignInTest, OutsidersDoNotLockPeopleOut) {
  for (int i = 0; i < 100; ++i) {
    SignInChecked event = WithStep(-1);
    event.directory = DirectoryOutcome::kDenied;
    event.directory_detail = "wrong password";
    ExpectDenied(event, "wrong password");
  }
  EXPECT_EQ(Token().failures(), 0u);
  EXPECT_TRUE(Try(driver_.GoodSignIn("jan")).status.ok());
}

TEST_F(SignInTest, FiveWrongCodesPauseAndTwentyStop) {
  for (int i = 0; i < 4; ++i) ExpectDenied(WithStep(-1), "wrong-code");
  EXPECT_EQ(Token().paused_until_unix_ms(), 0);
  ExpectDenied(WithStep(-1), "wrong-code");
  // Even the right code is not judged now.
  ExpectDenied(driver_.GoodSignIn("jan"), "token-paused");
  EXPECT_EQ(Token().failures(), 5u);
  driver_.now += absl::Minutes(15) - absl::Seconds(1);
  ExpectDenied(driver_.GoodSignIn("jan"), "token-paused");
  driver_.now += absl::Seconds(1);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5; ++i) ExpectDenied(WithStep(-1), "wrong-code");
    ExpectDenied(driver_.GoodSignIn("jan"), "token-paused");
    driver_.now += absl::Minutes(15);
  }
  for (int i = 0; i < 5; ++i) ExpectDenied(WithStep(-1), "wrong-code");
  EXPECT_EQ(Token().failures(), 20u);
  driver_.now += absl::Hours(100);
  ExpectDenied(driver_.GoodSignIn("jan"), "token-stopped");
  // The help desk's new seed is the way out.
  v1::EnrolTokenRequest enrol;
  enrol.set_user("jan");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), enrol).ok());
  EXPECT_EQ(Token().failures(), 0u);
}

TEST_F(SignInTest, AGoodCodeForgetsTheWrongOnes) {
  for (int i = 0; i < 4; ++i) ExpectDenied(WithStep(-1), "wrong-code");
  ASSERT_TRUE(Try(driver_.GoodSignIn("jan")).status.ok());
  EXPECT_EQ(Token().failures(), 0u);
}

TEST_F(SignInTest, ANetworkMayWaiveTheToken) {
  SignInChecked event = driver_.GoodSignIn("piet");
  event.token_waived = true;
  EXPECT_TRUE(Try(event).status.ok());
  EXPECT_TRUE(driver_.Logged("sign-in", "token", "waived"));
}

TEST_F(SignInTest, ADirectoryThatDoesNotAnswerIsNobodysFault) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.directory = DirectoryOutcome::kUnavailable;
  EXPECT_TRUE(absl::IsUnavailable(Try(event).status));
  event = driver_.GoodSignIn("jan");
  event.directory = DirectoryOutcome::kOverloaded;
  EXPECT_TRUE(absl::IsResourceExhausted(Try(event).status));
  EXPECT_EQ(Token().failures(), 0u);
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 0u);
}

TEST_F(SignInTest, ALostAnswerIsGivenAgainWithANewToken) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  const std::string id = event.sign_in_id;
  const std::string old_token = event.token_sha256;
  SignInChecked again = driver_.GoodSignIn("jan");
  again.request_id = event.request_id;
  again.matched_step = event.matched_step;
  driver_.now += absl::Minutes(9);
  ASSERT_TRUE(Try(again).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
  EXPECT_EQ(driver_.fleet().sign_ins.Find(id)->token_sha256(), again.token_sha256);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(old_token), nullptr);

  // The certificate is the proof, so the code may be wrong, and is not counted then; a new one is
  // used up.
  SignInChecked late = again;
  late.call += 500;
  late.matched_step = -1;
  ASSERT_TRUE(Try(late).status.ok());
  EXPECT_EQ(Token().failures(), 0u);
  SignInChecked newer = driver_.GoodSignIn("jan");
  newer.request_id = event.request_id;
  ASSERT_TRUE(Try(newer).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
  EXPECT_EQ(Token().last_step(), newer.matched_step);
  again.token_sha256 = newer.token_sha256;

  // Not with a wrong password, not for another person, not for ever.
  SignInChecked wrong = again;
  wrong.call += 1000;
  wrong.directory = DirectoryOutcome::kDenied;
  wrong.directory_detail = "wrong password";
  EXPECT_TRUE(absl::IsUnauthenticated(Try(wrong).status));
  SignInChecked other = driver_.GoodSignIn("piet");
  other.request_id = event.request_id;
  EXPECT_TRUE(absl::IsInvalidArgument(Try(other).status));
  again.call += 2000;
  driver_.now += absl::Minutes(2);
  EXPECT_TRUE(absl::IsUnauthenticated(Try(again).status));
}

TEST_F(SignInTest, ALostAnswerIsGivenAgainByTheNextLeader) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  driver_.Restart();
  SignInChecked again = driver_.GoodSignIn("jan");
  again.request_id = event.request_id;
  again.matched_step = event.matched_step;
  ASSERT_TRUE(Try(again).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
  SignInChecked other = driver_.GoodSignIn("piet");
  other.request_id = event.request_id;
  EXPECT_TRUE(absl::IsInvalidArgument(Try(other).status));
}

TEST_F(SignInTest, TheIdOfASignInIsForNoOtherCallAndTheOtherWayRound) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  v1::EndSessionRequest end;
  end.set_request_id(event.request_id);
  EXPECT_EQ(driver_.Call(event.token_sha256, end).status(),
            absl::InvalidArgumentError("request_id: was used for another request; take a new one"));
  v1::SignOutRequest out;
  out.set_request_id("out-1");
  ASSERT_TRUE(driver_.Call(event.token_sha256, out).ok());
  SignInChecked next = driver_.GoodSignIn("jan");
  next.request_id = "out-1";
  EXPECT_TRUE(absl::IsInvalidArgument(Try(next).status));
}

TEST_F(SignInTest, AnIdThatWasUsedLongAgoMakesANewSignIn) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  driver_.now += absl::Minutes(11);
  SignInChecked later = driver_.GoodSignIn("jan");
  later.request_id = event.request_id;
  ASSERT_TRUE(Try(later).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 2u);
  driver_.Restart();
  // The older one's end leaves the newer one's id alone.
  ASSERT_TRUE(driver_.Call(event.token_sha256, v1::SignOutRequest()).ok());
  SignInChecked again = driver_.GoodSignIn("jan");
  again.request_id = event.request_id;
  again.matched_step = later.matched_step;
  ASSERT_TRUE(Try(again).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
}

TEST_F(SignInTest, AnotherCertificateGetsNothingFromARequestId) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  SignInChecked again = driver_.GoodSignIn("jan");
  again.request_id = event.request_id;
  again.matched_step = event.matched_step;
  again.caller.certificate_sha256 = std::string(32, 'x');
  EXPECT_TRUE(absl::IsUnauthenticated(Try(again).status));
}

TEST_F(SignInTest, ASignInThatEndedIsNotGivenAgain) {
  SignInChecked event = driver_.GoodSignIn("jan");
  ASSERT_TRUE(Try(event).status.ok());
  ASSERT_TRUE(driver_.Call(event.token_sha256, v1::SignOutRequest()).ok());
  SignInChecked again = driver_.GoodSignIn("jan");
  again.request_id = event.request_id;
  again.matched_step = event.matched_step;
  EXPECT_TRUE(absl::IsUnauthenticated(Try(again).status));
}

TEST_F(SignInTest, BadRequestsAreTold) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.request_id = "no spaces";
  EXPECT_TRUE(absl::IsInvalidArgument(Try(event).status));
  event = driver_.GoodSignIn("jan");
  event.caller.identity = v1::IDENTITY_HOST;
  EXPECT_TRUE(absl::IsPermissionDenied(Try(event).status));
}

TEST_F(SignInTest, APasswordInTheNameFieldIsNotLogged) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.typed_user = "my secret pass!";
  event.directory = DirectoryOutcome::kDenied;
  event.directory_detail = "unknown user";
  ExpectDenied(event, "unknown user");
  EXPECT_EQ(driver_.audit().back().actor(), "user:(no name)");
}

TEST_F(SignInTest, ADirectoryNameThatCannotBeAKeyIsDenied) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.person.user = "jan/kantoor";
  EXPECT_TRUE(absl::IsUnauthenticated(Try(event).status));
}

TEST_F(SignInTest, SignOutKillsTheTokenAtOnceAndMayBeRepeated) {
  const std::string token = driver_.SignIn("jan");
  v1::SignOutRequest request;
  request.set_request_id("out-1");
  ASSERT_TRUE(driver_.Call(token, request).ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 0u);
  EXPECT_TRUE(driver_.Call(token, request).ok());
  request.set_request_id("out-2");
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Call(token, request).status()));
  // Another token learns nothing from the id.
  request.set_request_id("out-1");
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Call(std::string(32, 'x'), request).status()));
}

TEST_F(SignInTest, IdleSignInsEndAndUsedOnesStay) {
  const std::string token = driver_.SignIn("jan");
  driver_.now += absl::Minutes(29);
  driver_.Apply(SignInUsed{token});
  driver_.now += absl::Minutes(29);
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
  driver_.now += absl::Minutes(1);
  // A use that comes late wakes nothing.
  driver_.Apply(SignInUsed{token});
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 0u);
  EXPECT_EQ(driver_.stored().sign_ins.size(), 0u);
}

TEST_F(SignInTest, OneTooManyEndsTheOneThatWasUsedLongestAgo) {
  const uint32_t most = BrokerSettings().sign_ins_per_person;
  std::vector<std::string> tokens;
  for (uint32_t i = 0; i < most; ++i) {
    driver_.now += absl::Seconds(1);
    tokens.push_back(driver_.SignIn("jan"));
  }
  driver_.now += absl::Minutes(1);
  driver_.Apply(SignInUsed{tokens[0]});
  const std::string newest = driver_.SignIn("jan");
  EXPECT_EQ(driver_.fleet().sign_ins.size(), most);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(tokens[1]), nullptr);
  for (const std::string& token : {tokens[0], tokens[2], newest}) {
    EXPECT_NE(driver_.fleet().sign_in_by_token.Find(token), nullptr);
  }
  EXPECT_TRUE(driver_.Logged("sign-in-ended", "why", "the person has too many"));
}

TEST_F(SignInTest, UseIsWrittenAtMostOnceAMinute) {
  const std::string token = driver_.SignIn("jan");
  const uint64_t revision = driver_.fleet().revision;
  driver_.now += absl::Seconds(59);
  driver_.Apply(SignInUsed{token});
  EXPECT_EQ(driver_.fleet().revision, revision);
  driver_.now += absl::Seconds(1);
  driver_.Apply(SignInUsed{token});
  EXPECT_EQ(driver_.fleet().revision, revision + 1);
}

TEST_F(SignInTest, ASignInEndsAfterTwelveHoursAlsoOverARestart) {
  const std::string token = driver_.SignIn("jan");
  driver_.Restart();
  for (int i = 0; i < 25; ++i) {
    driver_.Apply(SignInUsed{token});
    driver_.Apply(Tick{});
    if (i < 24) {
      EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u) << i;
    }
    driver_.now += absl::Minutes(29);
    if (i == 23) driver_.now += absl::Minutes(24);
  }
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 0u);
}

TEST_F(SignInTest, NoNetworkWaivesTheTokenThroughAGateway) {
  SignInChecked event = driver_.GoodSignIn("piet");  // Never enrolled.
  event.caller = driver_.AtGateway("gw-a");
  event.token_waived = true;
  ExpectDenied(event, "not-enrolled");
  event = WithStep(-1);
  event.caller = driver_.AtGateway("gw-a");
  event.token_waived = true;
  ExpectDenied(event, "wrong-code");
  event = driver_.GoodSignIn("jan");
  event.caller = driver_.AtGateway("gw-a");
  event.token_waived = true;
  ASSERT_TRUE(Try(event).status.ok());
  EXPECT_TRUE(driver_.Logged("sign-in", "token", "checked"));
  EXPECT_EQ(Token().last_step(), event.matched_step) << "the code is used up";
}

TEST_F(SignInTest, ALostAnswerIsGivenAgainAtAnotherGateway) {
  SignInChecked event = driver_.GoodSignIn("jan");
  event.caller = driver_.AtGateway("gw-a");
  ASSERT_TRUE(Try(event).status.ok());
  SignInChecked again = driver_.GoodSignIn("jan");
  again.caller = driver_.AtGateway("gw-b");
  again.request_id = event.request_id;
  again.matched_step = event.matched_step;
  ASSERT_TRUE(Try(again).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 1u);
  EXPECT_EQ(driver_.fleet().sign_ins.Find(event.sign_in_id)->token_sha256(), again.token_sha256);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(event.token_sha256), nullptr);

  // The code of another sign-in is no proof, nor is one that was passed over.
  SignInChecked elsewhere = driver_.GoodSignIn("jan");
  elsewhere.matched_step += 2;
  ASSERT_TRUE(Try(elsewhere).status.ok());
  SignInChecked others = driver_.GoodSignIn("jan");
  others.caller = again.caller;
  others.request_id = event.request_id;
  for (const int64_t step : {elsewhere.matched_step, elsewhere.matched_step - 1}) {
    others.call += 500;
    others.matched_step = step;
    ExpectDenied(others, "code-used-already");
  }

  // A newer code proves it too, and is used up by that.
  SignInChecked newer = driver_.GoodSignIn("jan");
  newer.caller = again.caller;
  newer.request_id = event.request_id;
  newer.matched_step += 2;
  ASSERT_TRUE(Try(newer).status.ok());
  EXPECT_EQ(driver_.fleet().sign_ins.size(), 2u);
  EXPECT_EQ(Token().last_step(), newer.matched_step);
  SignInChecked stolen = driver_.GoodSignIn("jan");
  stolen.matched_step = newer.matched_step;
  ExpectDenied(stolen, "code-used-already");
  SignInChecked newer_again = newer;
  newer_again.call += 500;
  ASSERT_TRUE(Try(newer_again).status.ok());

  // Not without the code, not for another person, and machines have request ids of their own.
  SignInChecked guess = driver_.GoodSignIn("jan");
  guess.caller = again.caller;
  guess.request_id = event.request_id;
  guess.matched_step = -1;
  ExpectDenied(guess, "wrong-code");
  SignInChecked old_seed = driver_.GoodSignIn("jan");
  old_seed.caller = again.caller;
  old_seed.request_id = event.request_id;
  old_seed.seed_id = "the one before";
  ExpectDenied(old_seed, "token-replaced");
  SignInChecked other = driver_.GoodSignIn("piet");
  other.caller = again.caller;
  other.request_id = event.request_id;
  EXPECT_TRUE(absl::IsInvalidArgument(Try(other).status));
  SignInChecked machine = driver_.GoodSignIn("jan");
  machine.request_id = event.request_id;
  machine.matched_step = event.matched_step;
  ExpectDenied(machine, "code-used-already");
}

}  // namespace
}  // namespace werkplek
