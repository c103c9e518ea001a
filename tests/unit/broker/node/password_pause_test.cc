// Wrong passwords at a node that leads: when the directory is not asked any more.
#include <string>

#include "common/base/retry_after.h"
#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

class PasswordPauseTest : public NodeHarness {
 protected:
  void SetUp() override {
    NodeHarness::SetUp();
    settings_.passwords = LimitsFor(4, absl::Minutes(30));
    settings_.token_waived_networks = {"10.1.0.0/16"};
    StartLeading();
  }

  absl::Status SignIn(const Caller& caller, const std::string& password, const std::string& code,
                      const std::string& user = "jan") {
    v1::SignInRequest request = SignInOf(user, code);
    request.set_password(password);
    Got got;
    node_->SignIn(caller, request, got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_EQ(got.times, 1);
    return got.answer->status();
  }
  absl::Status Guess(const Caller& caller, const std::string& user = "jan") {
    return SignIn(caller, "guess", "000000", user);
  }
  absl::Status Right(const Caller& caller) {
    executor_.Advance(absl::Seconds(30));
    return SignIn(caller, "jan-password", Code("jan"));
  }
  // A browser at that address.
  static Caller Browser(const std::string& address) {
    Caller caller = CallerOf("gateway/gw-a", v1::IDENTITY_GATEWAY);
    caller.address = address;
    return caller;
  }
  int Audited(const std::string& action, const std::string& object) const {
    int count = 0;
    for (const ChangeSet& changes : committed_) {
      for (const v1::Change& change : changes) {
        v1::AuditRecord record;
        if (change.table() != kAuditTable || !record.ParseFromString(change.value())) continue;
        if (record.action() == action && record.object() == object) ++count;
      }
    }
    return count;
  }

  const Caller client_ = CallerOf("client/tc-1", v1::IDENTITY_CLIENT);
  const Caller stranger_ = Browser("203.0.113.66:40000");
};

TEST_F(PasswordPauseTest, AStrangerCannotLockAPersonOut) {
  ASSERT_TRUE(Right(client_).ok());
  const int asked = directory_.asked();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(absl::IsUnauthenticated(Guess(stranger_)));
  EXPECT_EQ(directory_.asked() - asked, 1);
  EXPECT_EQ(Audited("password-pause", "user:jan"), 1);
  EXPECT_TRUE(Right(client_).ok()) << "from a machine that the person has used";
  EXPECT_TRUE(absl::IsUnauthenticated(Right(stranger_))) << "the right password, too";
}

TEST_F(PasswordPauseTest, SaysHowLongAndNothingOfTheName) {
  for (const char* user : {"jan", "nobody"}) {
    EXPECT_EQ(RetryDelayOf(Guess(stranger_, user)), absl::ZeroDuration());
    const absl::Status paused = Guess(stranger_, user);
    EXPECT_TRUE(absl::IsUnauthenticated(paused));
    EXPECT_THAT(std::string(paused.message()), HasSubstr("wait, or sign in where"));
    EXPECT_GT(RetryDelayOf(paused), absl::Minutes(29));
    EXPECT_LE(RetryDelayOf(paused), absl::Minutes(30));
  }
}

TEST_F(PasswordPauseTest, ABrowserIsKnownByItsNetwork) {
  const Caller home = Browser("198.51.100.9:50000");
  ASSERT_TRUE(Right(home).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(Guess(stranger_)));
  EXPECT_GT(RetryDelayOf(Guess(stranger_)), absl::ZeroDuration());
  EXPECT_TRUE(Right(Browser("198.51.100.9:50777")).ok());
  EXPECT_GT(RetryDelayOf(Right(Browser("198.51.100.10:50000"))), absl::ZeroDuration());
}

TEST_F(PasswordPauseTest, AMachineWhereThePasswordIsEnoughIsKnown) {
  EXPECT_TRUE(absl::IsUnauthenticated(Guess(stranger_)));
  Caller inside = CallerOf("client/tc-9", v1::IDENTITY_CLIENT);
  inside.address = "10.1.2.3:40000";
  EXPECT_TRUE(Right(inside).ok());
  inside.identity = v1::IDENTITY_GATEWAY;
  EXPECT_GT(RetryDelayOf(Right(inside)), absl::ZeroDuration()) << "not through a gateway";
}

TEST_F(PasswordPauseTest, TheNamesOwnLettersDoNotMatter) {
  ASSERT_TRUE(Right(client_).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(Guess(stranger_, "JAN")));
  EXPECT_GT(RetryDelayOf(Guess(stranger_, "Jan")), absl::ZeroDuration());
  // Typed in capitals, and the directory knows nobody in capitals: it was asked all the same.
  EXPECT_EQ(RetryDelayOf(SignIn(client_, "x", "000000", "JAN")), absl::ZeroDuration());
}

TEST_F(PasswordPauseTest, WhatIsNoNameIsNotCounted) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(RetryDelayOf(Guess(stranger_, "*)(uid=jan")), absl::ZeroDuration());
  }
}

TEST_F(PasswordPauseTest, ADirectoryThatDoesNotAnswerPausesNobody) {
  directory_.SetOutage(DirectoryOutcome::kUnavailable);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(absl::IsUnavailable(Guess(stranger_)));
}

TEST_F(PasswordPauseTest, AnotherBrokerAsksBeforeItTries) {
  EXPECT_TRUE(node_->TryPassword(stranger_, "jan").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(node_->TryPassword(stranger_, "jan")));
  SignInChecked checked;
  checked.caller = stranger_;
  checked.typed_user = "jan";
  checked.request_id = "r-1";
  checked.directory = DirectoryOutcome::kDenied;
  checked.token_sha256 = std::string(32, 't');
  checked.sign_in_id = "si-1";
  Got got;
  node_->SubmitSignIn(checked, got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(got.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_TRUE(absl::IsUnauthenticated(node_->TryPassword(stranger_, "jan")));
  EXPECT_EQ(Audited("password-pause", "user:jan"), 1);
}

TEST_F(PasswordPauseTest, WhoLeadsAnewForgetsNothingUnlessAnotherLedMeanwhile) {
  EXPECT_TRUE(absl::IsUnauthenticated(Guess(stranger_)));
  election_.StepDown();
  executor_.Advance(absl::Seconds(1));
  ASSERT_EQ(election_.last_epoch(), 2u);
  EXPECT_GT(RetryDelayOf(Guess(stranger_)), absl::ZeroDuration());
  election_.Surpass(7);
  election_.StepDown();
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(RetryDelayOf(Guess(stranger_)), absl::ZeroDuration());
}

TEST_F(PasswordPauseTest, ARightCodeIsNoGuess) {
  // The places of the person are not written, as when the store is full.
  for (int i = 0; i < 5; ++i) {
    faulty_.commit_fault = [] { return StoreFault::kBefore; };
    EXPECT_TRUE(absl::IsUnavailable(Right(stranger_)));
    faulty_.commit_fault = [] { return StoreFault::kNone; };
    executor_.Advance(absl::Seconds(5));
  }
  EXPECT_TRUE(Right(stranger_).ok());
}

TEST_F(PasswordPauseTest, WhoDoesNotLeadLetsNobodyTry) {
  election_.SetWins(false);
  executor_.RunUntilIdle();
  EXPECT_TRUE(absl::IsUnavailable(node_->TryPassword(stranger_, "jan")));
}

}  // namespace
}  // namespace werkplek
