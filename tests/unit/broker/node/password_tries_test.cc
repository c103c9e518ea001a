#include "broker/node/password_tries.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace werkplek {
namespace {

using Verdict = PasswordTries::Verdict;

constexpr bool kKnown = true;
constexpr bool kStranger = false;

class PasswordTriesTest : public ::testing::Test {
 protected:
  static std::string Place(bool known) { return known ? "client/own" : "browser/192.0.2.66"; }
  bool IsKnown(const std::string& place) const { return known_.count(place) > 0; }

  Verdict Begin(bool known, const std::string& user = "jan") {
    const auto is_known = [this](const std::string& place) { return IsKnown(place); };
    const PasswordTries::Answer answer = tries_.Begin(user, Place(known), is_known, now_);
    wait_ = answer.wait;
    return answer.verdict;
  }
  bool Ended(DirectoryOutcome said, bool known, const std::string& user = "jan",
             bool code_right = false) {
    const auto is_known = [this](const std::string& place) { return IsKnown(place); };
    return tries_.Ended(user, Place(known), {said, code_right}, is_known, now_);
  }
  // One wrong password after another, until no more are let in; how many were.
  int WrongOnes(bool known, const std::string& user = "jan") {
    int count = 0;
    for (; count < 100 && Begin(known, user) == Verdict::kTry; ++count) {
      now_ += absl::Seconds(1);
      Ended(DirectoryOutcome::kDenied, known, user);
    }
    return count;
  }
  void RightOne(bool known) {
    EXPECT_EQ(Begin(known), Verdict::kTry);
    EXPECT_FALSE(Ended(DirectoryOutcome::kOk, known, "jan", /*code_right=*/true));
  }

  std::set<std::string> known_ = {Place(kKnown)};
  PasswordTries tries_{LimitsFor(10, absl::Minutes(30))};
  absl::Duration now_ = absl::Hours(1);
  absl::Duration wait_;
};

TEST(PasswordLimitsTest, LeaveTwoToTheDirectoryAndHalfToThePerson) {
  struct Row {
    uint32_t locks_after, all, strangers;
  };
  for (const Row& row :
       {Row{1, 2, 1}, Row{4, 2, 1}, Row{5, 3, 2}, Row{10, 8, 4}, Row{50, 48, 24}}) {
    const PasswordLimits limits = LimitsFor(row.locks_after, absl::Minutes(7));
    EXPECT_EQ(limits.all, row.all) << row.locks_after;
    EXPECT_EQ(limits.strangers, row.strangers) << row.locks_after;
    EXPECT_EQ(limits.remembered, absl::Minutes(7));
  }
}

TEST_F(PasswordTriesTest, StrangersAreStoppedAndThePersonIsNot) {
  EXPECT_EQ(WrongOnes(kStranger), 4);
  EXPECT_EQ(Begin(kStranger), Verdict::kPaused);
  RightOne(kKnown);
  EXPECT_EQ(Begin(kStranger), Verdict::kPaused) << "also after the person's own sign-in";
  EXPECT_EQ(Begin(kKnown, "piet"), Verdict::kTry) << "somebody else";
  EXPECT_EQ(Begin(kStranger, "JAN"), Verdict::kPaused) << "the directory reads names so, too";
}

TEST_F(PasswordTriesTest, TwoAreLeftToTheDirectoryWhoeverTries) {
  const int strangers = WrongOnes(kStranger);
  EXPECT_EQ(strangers + WrongOnes(kKnown), 8);
  EXPECT_EQ(Begin(kKnown), Verdict::kPaused);
}

TEST_F(PasswordTriesTest, ARightPasswordMakesRoomAsInTheDirectory) {
  for (int i = 0; i < 7; ++i) {
    ASSERT_EQ(Begin(kKnown), Verdict::kTry);
    ASSERT_FALSE(Ended(DirectoryOutcome::kDenied, kKnown));
  }
  now_ += absl::Seconds(1);
  RightOne(kKnown);
  now_ += absl::Seconds(1);
  EXPECT_EQ(WrongOnes(kKnown), 8);
}

TEST_F(PasswordTriesTest, ThePauseIsToldOnceAndEndsWithTheWindow) {
  std::vector<bool> pauses;
  for (int i = 0; i < 4; ++i) {
    ASSERT_EQ(Begin(kStranger), Verdict::kTry);
    pauses.push_back(Ended(DirectoryOutcome::kDenied, kStranger));
    now_ += absl::Minutes(1);
  }
  EXPECT_EQ(pauses, std::vector<bool>({false, false, false, true}));
  ASSERT_EQ(Begin(kStranger), Verdict::kPaused);
  EXPECT_EQ(wait_, absl::Minutes(29)) << "from the last one";
  now_ += wait_ - absl::Milliseconds(1);
  EXPECT_EQ(Begin(kStranger), Verdict::kPaused);
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(WrongOnes(kStranger), 4);
}

TEST_F(PasswordTriesTest, AStrangerWithPatienceIsStoppedToo) {
  // A directory that forgets when there was none for half an hour counts all of these together.
  int tried = 0;
  for (int i = 0; i < 100 && Begin(kStranger) == Verdict::kTry; ++i, ++tried) {
    Ended(DirectoryOutcome::kDenied, kStranger);
    now_ += absl::Minutes(12);
  }
  EXPECT_EQ(tried, 4);
}

TEST_F(PasswordTriesTest, ThePauseDoesNotTellWhetherAPasswordIsRight) {
  int tried = 0;
  for (; tried < 100 && Begin(kStranger) == Verdict::kTry; ++tried) {
    now_ += absl::Seconds(1);
    // And the code is wrong.
    Ended(DirectoryOutcome::kOk, kStranger);
  }
  EXPECT_EQ(tried, WrongOnes(kStranger, "piet"));
}

TEST_F(PasswordTriesTest, WhoHasSignedInIsNoStrangerAnyMore) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(Begin(kStranger), Verdict::kTry);
    Ended(DirectoryOutcome::kDenied, kStranger);
  }
  now_ += absl::Seconds(1);
  for (int i = 0; i < 10; ++i) RightOne(kStranger);
  known_.insert(Place(kStranger));
  now_ += absl::Seconds(1);
  EXPECT_EQ(WrongOnes(kStranger), 8);
}

TEST_F(PasswordTriesTest, TriesUnderWayCountUntilTheyEnd) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Begin(kStranger), Verdict::kTry);
  EXPECT_EQ(Begin(kStranger), Verdict::kOthersFirst);
  EXPECT_FALSE(Ended(DirectoryOutcome::kUnavailable, kStranger));
  EXPECT_EQ(Begin(kStranger), Verdict::kTry);
  EXPECT_FALSE(Ended(DirectoryOutcome::kUnavailable, kStranger));
  EXPECT_FALSE(Ended(DirectoryOutcome::kOverloaded, kStranger));
  EXPECT_EQ(Begin(kStranger), Verdict::kTry) << "the directory was not asked";
}

TEST_F(PasswordTriesTest, OfWhichNothingIsHeardTheyCountAsWrong) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Begin(kStranger), Verdict::kTry);
  now_ += PasswordTries::kLongestTry - absl::Milliseconds(1);
  EXPECT_EQ(Begin(kStranger), Verdict::kOthersFirst);
  now_ += absl::Milliseconds(1);
  EXPECT_EQ(Begin(kKnown, "piet"), Verdict::kTry) << "any name's turn closes them";
  EXPECT_EQ(Begin(kStranger), Verdict::kPaused);
}

TEST_F(PasswordTriesTest, AnEndWithoutABeginCountsAllTheSame) {
  EXPECT_FALSE(Ended(DirectoryOutcome::kDenied, kStranger));
  EXPECT_EQ(WrongOnes(kStranger), 3);
}

TEST_F(PasswordTriesTest, NothingIsWashedOutByOtherNames) {
  WrongOnes(kStranger, "first");
  size_t remembered = 4;
  for (int i = 0; remembered < PasswordTries::kMostRemembered; ++i) {
    remembered += WrongOnes(kStranger, absl::StrCat("name-", i));
    now_ -= absl::Seconds(4);
  }
  EXPECT_EQ(Begin(kStranger, "first"), Verdict::kPaused);
  EXPECT_EQ(Begin(kStranger, "another"), Verdict::kFull);
  EXPECT_EQ(Begin(kKnown, "another"), Verdict::kTry);
  now_ += absl::Minutes(31);
  EXPECT_EQ(Begin(kStranger, "yet-another"), Verdict::kTry);
}

TEST_F(PasswordTriesTest, ForgetsAllOfIt) {
  WrongOnes(kStranger);
  tries_.Forget();
  EXPECT_EQ(WrongOnes(kStranger), 4);
}

}  // namespace
}  // namespace werkplek
