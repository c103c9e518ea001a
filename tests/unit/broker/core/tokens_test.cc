#include "broker/core/tokens.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

class TokensTest : public testing::Test {
 protected:
  absl::Status Enrol(const std::string& user) {
    v1::EnrolTokenRequest request;
    request.set_user(user);
    return driver_.Call(driver_.Admin(), request).status();
  }
  absl::Status Confirm(const std::string& user, int64_t step, const std::string& seed_id = "") {
    v1::ConfirmTokenRequest request;
    request.set_user(user);
    request.set_code("123456");
    request.set_request_id("confirm-" + std::to_string(++confirms_));
    CallRequested event;
    event.call = 1'000'000 + confirms_;
    event.caller = driver_.CallerOf(driver_.Admin());
    event.request = std::make_shared<v1::ConfirmTokenRequest>(request);
    event.matched_step = step;
    event.seed_id = seed_id;
    driver_.Apply(event);
    for (const Effect& effect : driver_.latest) {
      if (const auto* reply = std::get_if<Reply>(&effect)) return reply->status;
    }
    return absl::UnknownError("no answer");
  }
  const v1::TokenEnrolment& Token(const std::string& user) {
    return *driver_.fleet().tokens.Find(user);
  }

  Driver driver_;
  uint64_t confirms_ = 0;
};

TEST_F(TokensTest, AnEnrolmentCountsAfterItsFirstGoodCode) {
  ASSERT_TRUE(Enrol("jan").ok());
  EXPECT_EQ(Token("jan").state(), v1::TOKEN_STATE_PENDING);
  EXPECT_EQ(Token("jan").sealed_seed(), "sealed");
  EXPECT_TRUE(absl::IsInvalidArgument(Confirm("jan", -1)));
  EXPECT_EQ(Token("jan").state(), v1::TOKEN_STATE_PENDING);
  EXPECT_EQ(Token("jan").failures(), 1u);
  EXPECT_TRUE(Confirm("jan", 77).ok());
  EXPECT_EQ(Token("jan").state(), v1::TOKEN_STATE_ACTIVE);
  EXPECT_EQ(Token("jan").last_step(), 77);
  EXPECT_TRUE(absl::IsFailedPrecondition(Confirm("jan", 78)));
}

TEST_F(TokensTest, TheKeptAnswerHoldsNoSeed) {
  v1::EnrolTokenRequest request;
  request.set_user("jan");
  request.set_request_id("enrol-1");
  const auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(static_cast<const v1::EnrolTokenResponse&>(**answer).otpauth_uri(), "");
  for (const auto& entry : driver_.fleet().answered) {
    EXPECT_EQ(entry.record->response().find("sealed"), std::string::npos);
    EXPECT_EQ(entry.record->response().find("otpauth"), std::string::npos);
  }
  // The same request again makes no other seed.
  const std::string seed = Token("jan").seed_id();
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(Token("jan").seed_id(), seed);
}

TEST_F(TokensTest, ANewSeedKillsTheOldOneAndStepsOnlyGrow) {
  ASSERT_TRUE(Enrol("jan").ok());
  ASSERT_TRUE(Confirm("jan", 77).ok());
  const std::string old_seed = Token("jan").seed_id();
  ASSERT_TRUE(Enrol("jan").ok());
  EXPECT_NE(Token("jan").seed_id(), old_seed);
  EXPECT_EQ(Token("jan").state(), v1::TOKEN_STATE_PENDING);
  EXPECT_EQ(Token("jan").last_step(), 77);
  EXPECT_TRUE(absl::IsInvalidArgument(Confirm("jan", 77)));
  EXPECT_TRUE(absl::IsAborted(Confirm("jan", 78, old_seed)));
  EXPECT_TRUE(Confirm("jan", 78).ok());
}

TEST_F(TokensTest, ConfirmingIsNoWayToGuess) {
  ASSERT_TRUE(Enrol("jan").ok());
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(absl::IsInvalidArgument(Confirm("jan", -1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(Confirm("jan", 77)));
}

TEST_F(TokensTest, ARevokedTokenSignsNobodyIn) {
  driver_.SignIn("jan");
  v1::RevokeTokenRequest request;
  request.set_user("jan");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(Token("jan").state(), v1::TOKEN_STATE_REVOKED);
  EXPECT_EQ(Token("jan").sealed_seed(), "");
  request.set_user("piet");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(driver_.Admin(), request).status()));
}

TEST_F(TokensTest, NamesAreChecked) {
  EXPECT_TRUE(absl::IsInvalidArgument(Enrol("jan)(uid=*")));
  EXPECT_TRUE(absl::IsInvalidArgument(Confirm("", 7)));
}

TEST_F(TokensTest, SignInsAreRevokedByIdByUserAndAll) {
  const std::string jan = driver_.SignIn("jan");
  driver_.SignIn("jan");
  const std::string piet = driver_.SignIn("piet");
  v1::RevokeSignInsRequest request;
  EXPECT_TRUE(absl::IsInvalidArgument(driver_.Call(driver_.Admin(), request).status()));
  request.set_id("nobody");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(driver_.Admin(), request).status()));
  request.set_id(*driver_.fleet().sign_in_by_token.Find(jan));
  auto answer = driver_.Call(driver_.Admin(), request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(static_cast<const v1::RevokeSignInsResponse&>(**answer).revoked(), 1u);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(jan), nullptr);
  request.set_user("jan");
  answer = driver_.Call(driver_.Admin(), request);
  EXPECT_EQ(static_cast<const v1::RevokeSignInsResponse&>(**answer).revoked(), 1u);
  EXPECT_NE(driver_.fleet().sign_in_by_token.Find(piet), nullptr);
  request.set_all(true);
  answer = driver_.Call(driver_.Admin(), request);
  EXPECT_EQ(static_cast<const v1::RevokeSignInsResponse&>(**answer).revoked(), 2u);
  EXPECT_TRUE(driver_.fleet().sign_ins.empty());
}

class RevokedPersonTest : public Municipality {
 protected:
  uint32_t Revoke(const std::string& user) {
    v1::RevokeSignInsRequest request;
    request.set_user(user);
    const auto answer = driver_.Call(driver_.Admin(), request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? static_cast<const v1::RevokeSignInsResponse&>(**answer).revoked() : 0;
  }
};

TEST_F(RevokedPersonTest, HoweverTheNameIsSpelt) {
  Open(1, 4, 1);
  const std::string first = driver_.SignIn("JansenJ");
  const std::string second = driver_.SignIn("JansenJ");
  driver_.SignIn("jansen");
  driver_.Connect(first, "kantoor");
  Look("JansenJ");
  ASSERT_EQ(State("JansenJ"), v1::SESSION_STATE_ACTIVE);
  EXPECT_EQ(Revoke("jansenj"), 2u);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(first), nullptr);
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(second), nullptr);
  EXPECT_EQ(State("JansenJ"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("JansenJ")->viewer(), v1::VIEWER_GONE);
  EXPECT_EQ(Revoke("JANSEN"), 1u);
}

TEST_F(RevokedPersonTest, ATokenIsRevokedHoweverTheNameIsSpelt) {
  driver_.Enrol("JansenJ");
  driver_.Enrol("jansen");
  v1::RevokeTokenRequest request;
  request.set_user("jansenj");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(driver_.fleet().tokens.Find("JansenJ")->state(), v1::TOKEN_STATE_REVOKED);
  EXPECT_EQ(driver_.fleet().tokens.Find("jansen")->state(), v1::TOKEN_STATE_ACTIVE);
  EXPECT_EQ(driver_.audit().back().object(), "user:JansenJ");
}

}  // namespace
}  // namespace werkplek
