// The checkers of moves, of repeated calls and of isolations, on histories made by hand.
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/checkers.h"
#include "tests/sim/isolation.h"

namespace werkplek::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Step = MoveSeen::Step;

v1::Desktop MakeDesktop(const std::string& host, const std::string& moving_to = "") {
  v1::Desktop desktop;
  desktop.set_id("d1");
  desktop.set_pool("kantoor");
  desktop.set_host(host);
  desktop.set_moving_to(moving_to);
  desktop.set_state(v1::DESKTOP_STATE_ASSIGNED);
  desktop.set_session("s1");
  desktop.set_generation(3);
  return desktop;
}

template <typename Record>
void Commit(History& history, int second, absl::string_view table, const std::string& key,
            const Record& record) {
  v1::Change change;
  change.set_table(std::string(table));
  change.set_key(key);
  change.set_value(record.SerializeAsString());
  history.commits.push_back({absl::Seconds(second), {change}, 1});
}

void Store(History& history, int second, const v1::Desktop& desktop) {
  Commit(history, second, kDesktopTable, desktop.id(), desktop);
}

// A move from hv-a to hv-b as it should be.
History GoodMove() {
  History history;
  Store(history, 1, MakeDesktop("hv-a"));
  Store(history, 2, MakeDesktop("hv-a", "hv-b"));
  history.moves.push_back({absl::Seconds(3), Step::kBegun, "d1", 3, "hv-a", "hv-b"});
  history.moves.push_back({absl::Seconds(4), Step::kHandedOver, "d1", 3, "hv-a", "hv-b"});
  history.moves.push_back({absl::Seconds(5), Step::kEnded, "d1", 3, "hv-a", "hv-b"});
  Store(history, 6, MakeDesktop("hv-b"));
  return history;
}

TEST(CheckMovesTest, AMoveAsItShouldBe) { EXPECT_THAT(CheckMoves(GoodMove()), IsEmpty()); }

TEST(CheckMovesTest, AMoveThatNobodyCommitted) {
  History history = GoodMove();
  history.moves[0].at = absl::Seconds(1);
  ASSERT_THAT(CheckMoves(history), SizeIs(1));
  EXPECT_THAT(CheckMoves(history)[0].what, HasSubstr("nobody committed"));
  history = GoodMove();
  history.moves[0].to = "hv-c";
  EXPECT_THAT(CheckMoves(history), SizeIs(1)) << "to another host";
}

TEST(CheckMovesTest, AnArrivalBeforeItArrived) {
  History history = GoodMove();
  history.commits[2].at = absl::Milliseconds(3500);
  ASSERT_THAT(CheckMoves(history), SizeIs(1));
  EXPECT_THAT(CheckMoves(history)[0].what, HasSubstr("never came there"));
}

TEST(CheckMovesTest, ASessionThatIsAnotherOneAfterwards) {
  History history = GoodMove();
  history.commits.pop_back();
  v1::Desktop other = MakeDesktop("hv-b");
  other.set_session("s2");
  Store(history, 6, other);
  EXPECT_THAT(CheckMoves(history), SizeIs(1));
}

TEST(CheckMovesTest, WhatServesIsNotRemoved) {
  History history = GoodMove();
  history.removals.push_back({absl::Seconds(7), "hv-a", "d1", 3, false, ""});
  EXPECT_THAT(CheckMoves(history), IsEmpty()) << "it lives elsewhere by now";
  history.removals.push_back({absl::Seconds(8), "hv-b", "d1", 3, false, ""});
  EXPECT_THAT(CheckMoves(history), SizeIs(1));
  history.removals[1] = {absl::Milliseconds(4500), "hv-b", "d1", 3, false, ""};
  EXPECT_THAT(CheckMoves(history), SizeIs(1)) << "it has just arrived";
}

TEST(CheckMovesTest, ADiskUnderWhatRuns) {
  History history = GoodMove();
  history.removals.push_back({absl::Seconds(7), "hv-a", "d1", 3, true, ""});
  EXPECT_THAT(CheckMoves(history), IsEmpty());
  history.removals.push_back({absl::Seconds(7), "hv-a", "d1", 3, true, "hv-b"});
  EXPECT_THAT(CheckMoves(history), SizeIs(1));
}

TEST(CheckRepeatsTest, TheSameAnswerAndOneEffect) {
  v1::AnsweredRequest answered;
  answered.set_method("EndSession");
  History history;
  history.answers.push_back({absl::Seconds(1), "tc/1", "EndSession", "done"});
  history.answers.push_back({absl::Hours(23), "tc/1", "EndSession", "done"});
  Commit(history, 1, kAnsweredTable, "tc/1", answered);
  EXPECT_THAT(CheckRepeats(history), IsEmpty());
  history.answers[1].answer = "something else";
  EXPECT_THAT(CheckRepeats(history), SizeIs(1));
  history.refusals.push_back({absl::Seconds(9), "tc/1", "ALREADY_EXISTS"});
  EXPECT_THAT(CheckRepeats(history), SizeIs(2));
  Commit(history, 9, kAnsweredTable, "tc/1", answered);
  EXPECT_THAT(CheckRepeats(history), SizeIs(3)) << "done twice";
}

TEST(CheckRepeatsTest, ARequestMakesOneSignInWhileThatStands) {
  const auto add = [](History& history, int second, const std::string& id) {
    v1::SignIn sign_in;
    sign_in.set_request_key("tc/1");
    sign_in.set_created_unix_ms(1000 * second);
    Commit(history, second, kSignInTable, id, sign_in);
  };
  History history;
  add(history, 1, "a");
  add(history, 2, "a");
  add(history, 601, "b");
  EXPECT_THAT(CheckRepeats(history), IsEmpty()) << "ten minutes later it is another request";
  add(history, 602, "c");
  EXPECT_THAT(CheckRepeats(history), SizeIs(1));
  v1::Change ended;
  ended.set_table(std::string(kSignInTable));
  ended.set_key("c");
  history.commits.push_back(history.commits.back());
  history.commits.back().changes = {ended};
  add(history, 604, "d");
  EXPECT_THAT(CheckRepeats(history), SizeIs(1)) << "that one has ended";
}

// A dedicated desktop on hv-a, started on hv-b at 30 s and running there at 33 s.
History GoodFence() {
  History history;
  v1::Resource pool;
  pool.set_name("kantoor");
  pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
  Commit(history, 1, kPoolTable, "kantoor", pool);
  Store(history, 2, MakeDesktop("hv-a"));
  history.runs.push_back({absl::Seconds(3), "hv-a", "d1", true});
  history.reports.push_back({absl::Seconds(4), "hv-a", 1});
  history.reports.push_back({absl::Seconds(5), "hv-a", 1});
  history.runs.push_back({absl::Seconds(16), "hv-a", "d1", false});
  v1::Desktop elsewhere = MakeDesktop("hv-b");
  elsewhere.set_generation(4);
  elsewhere.set_fenced_generation(3);
  Store(history, 30, elsewhere);
  history.runs.push_back({absl::Seconds(33), "hv-b", "d1", true});
  history.reports.push_back({absl::Seconds(40), "hv-a", 1});
  history.reports.push_back({absl::Seconds(50), "hv-a", 1});
  return history;
}

TEST(IsolationsTest, AreCountedWhereSomethingFencedRuns) {
  const Isolations count = CountIsolations(GoodFence());
  EXPECT_EQ(count.hosts, 1u) << "the second silence has nothing to stop";
  EXPECT_EQ(count.fenced, 1u);
  EXPECT_EQ(count.overlap, absl::ZeroDuration());
  EXPECT_EQ(count.restarts, 1u);
  EXPECT_EQ(count.longest_restart, absl::Seconds(3));
}

TEST(IsolationsTest, TimeOnTwoHostsIsAddedUp) {
  History history = GoodFence();
  history.runs[1].at = absl::Seconds(35);
  std::swap(history.runs[1], history.runs[2]);
  Isolations count = CountIsolations(history);
  EXPECT_EQ(count.overlap, absl::Seconds(2));
  count.Add(CountIsolations(history));
  EXPECT_EQ(count.overlap, absl::Seconds(4));
  EXPECT_THAT(Told(count), HasSubstr("seconds on two hosts: 4;"));
}

}  // namespace
}  // namespace werkplek::sim
