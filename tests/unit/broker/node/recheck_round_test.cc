#include "broker/node/recheck_round.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kRound = absl::Seconds(30);

class RecheckRoundTest : public testing::Test {
 protected:
  void AddSignIn(const std::string& id, const std::string& user,
                 absl::Time created = absl::UnixEpoch()) {
    v1::SignIn sign_in;
    sign_in.set_id(id);
    sign_in.set_user(user);
    sign_in.set_created_unix_ms(absl::ToUnixMillis(created));
    fleet_.sign_ins.Put(id, std::make_shared<v1::SignIn>(sign_in));
  }
  void AddSession(const std::string& id, const std::string& user) {
    v1::Session session;
    session.set_id(id);
    session.set_user(user);
    fleet_.sessions.Put(id, std::make_shared<v1::Session>(session));
    fleet_.live_sessions.Put(LiveSessionKey(user, "office"), std::make_shared<std::string>(id));
  }
  std::vector<std::string> Take(absl::Duration later) {
    now_ += later;
    return round_.Take(fleet_, now_, wall_);
  }
  // Everybody is known, for so long; how often each was asked about.
  std::map<std::string, int> Run(absl::Duration time) {
    std::map<std::string, int> asked;
    for (absl::Duration left = time; left > absl::ZeroDuration(); left -= absl::Milliseconds(250)) {
      for (const std::string& user : Take(absl::Milliseconds(250))) {
        ++asked[user];
        round_.Known(user);
      }
    }
    return asked;
  }

  Fleet fleet_;
  absl::Duration now_ = absl::Hours(5);
  absl::Time wall_ = absl::UnixEpoch() + absl::Hours(10'000);
  RecheckRound round_{kRound};
};

TEST_F(RecheckRoundTest, NobodyIsAskedAboutInAnEmptyFleet) {
  EXPECT_THAT(Run(absl::Minutes(5)), IsEmpty());
}

TEST_F(RecheckRoundTest, EverybodyOnceInARoundEvenly) {
  for (int i = 0; i < 600; ++i) AddSignIn(absl::StrCat("si-", i), absl::StrCat("user-", i));
  Take(absl::ZeroDuration());
  EXPECT_LE(Take(absl::Milliseconds(250)).size(), 6u);
  round_.Forget();
  const std::map<std::string, int> asked = Run(4 * kRound);
  EXPECT_EQ(asked.size(), 600u);
  for (const auto& [user, times] : asked) {
    EXPECT_GE(times, 3) << user;
    EXPECT_LE(times, 5) << user;
  }
}

// A screen stays open when its sign-in ends by itself.
TEST_F(RecheckRoundTest, WhoHasOnlyASessionIsAskedAboutToo) {
  AddSignIn("si-1", "jan");
  AddSession("s-1", "piet");
  const std::map<std::string, int> asked = Run(4 * kRound);
  EXPECT_GE(asked.at("jan"), 2);
  EXPECT_GE(asked.at("piet"), 2);
}

TEST_F(RecheckRoundTest, AFreshSignInHasAskedItself) {
  AddSignIn("si-1", "jan", wall_ - absl::Seconds(20));
  EXPECT_THAT(Run(2 * kRound), IsEmpty());
  wall_ += absl::Seconds(11);
  EXPECT_EQ(Run(2 * kRound).count("jan"), 1u);
}

TEST_F(RecheckRoundTest, SoManyAreOpenAtOnce) {
  for (int i = 0; i < 600; ++i) AddSignIn(absl::StrCat("si-", i), absl::StrCat("user-", i));
  Take(absl::ZeroDuration());
  EXPECT_EQ(Take(kRound - absl::Seconds(1)).size(), RecheckRound::kMostOpen);
  EXPECT_THAT(Take(absl::Seconds(1)), IsEmpty());
  round_.NoAnswer("user-0");
  EXPECT_EQ(Take(absl::Seconds(1)).size(), 1u);
}

// The directory may have copies, and one of them may be late.
TEST_F(RecheckRoundTest, OnlyWhoIsGoneInTwoRoundsIsGone) {
  EXPECT_FALSE(round_.Gone("jan", now_));
  // Their other sign-in, of the same round.
  EXPECT_FALSE(round_.Gone("jan", now_ + absl::Seconds(1)));
  EXPECT_TRUE(round_.Gone("jan", now_ + kRound));
  EXPECT_FALSE(round_.Gone("piet", now_));
  round_.Known("piet");
  EXPECT_FALSE(round_.Gone("piet", now_ + kRound));
  // Silence says neither.
  round_.NoAnswer("piet");
  EXPECT_TRUE(round_.Gone("piet", now_ + 2 * kRound));
}

// A copy of the directory that lost its people must not sign everybody out.
TEST_F(RecheckRoundTest, NobodyIsGoneWhenManyAre) {
  const auto all_unknown = [this](int people, absl::Duration when) {
    int gone = 0;
    for (int i = 0; i < people; ++i) gone += round_.Gone(absl::StrCat("user-", i), when) ? 1 : 0;
    return gone;
  };
  const int many = static_cast<int>(RecheckRound::kMostGone) + 1;
  EXPECT_EQ(all_unknown(many, now_), 0);
  EXPECT_EQ(all_unknown(many, now_ + kRound), 0);
  EXPECT_TRUE(round_.Doubts());
  // One is known again: the others are few enough.
  round_.Known("user-0");
  EXPECT_FALSE(round_.Doubts());
  EXPECT_TRUE(round_.Gone("user-1", now_ + 2 * kRound));
  // Who is not asked about any more does not count.
  EXPECT_FALSE(round_.Gone("user-99", now_ + 9 * kRound));
  EXPECT_FALSE(round_.Doubts());
}

// A clock that stood still, or a lead that was away, is not made up for at once.
TEST_F(RecheckRoundTest, ALongPauseBeginsARound) {
  for (int i = 0; i < 600; ++i) AddSignIn(absl::StrCat("si-", i), absl::StrCat("user-", i));
  Take(absl::ZeroDuration());
  EXPECT_THAT(Take(absl::Hours(1)), IsEmpty());
}

}  // namespace
}  // namespace werkplek
