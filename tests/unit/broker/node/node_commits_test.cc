// What shares a commit, and what waits for it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

using NodeCommitsTest = NodeHarness;

TEST_F(NodeCommitsTest, WhatWaitsSharesOneCommitAndIsAnsweredInOrder) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  const size_t before = committed_.size();
  faulty_.delay = [] { return absl::Milliseconds(10); };
  std::vector<int> order;
  for (int i = 0; i < 40; ++i) {
    node_->Call(admin, CreateSite(absl::StrCat("s", i)),
                [&order, i](const absl::StatusOr<MessagePointer>& answer) {
                  EXPECT_TRUE(answer.ok()) << answer.status();
                  order.push_back(i);
                });
  }
  executor_.Advance(absl::Milliseconds(100));
  ASSERT_THAT(order, SizeIs(40));
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_LE(committed_.size(), before + 2);
}

TEST_F(NodeCommitsTest, TheNextCommitIsOnItsWayWhileTheLastIsAnswered) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  int asked = 0;
  faulty_.asked = [&] { ++asked; };
  faulty_.delay = [] { return absl::Milliseconds(10); };
  int asked_at_answer = 0;
  node_->Call(admin, CreateSite("a"), [&](const absl::StatusOr<MessagePointer>& answer) {
    EXPECT_TRUE(answer.ok()) << answer.status();
    asked_at_answer = asked;
  });
  executor_.Advance(absl::Milliseconds(1));
  Got second;
  node_->Call(admin, CreateSite("b"), second.Callback());
  executor_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(asked_at_answer, 2);
  EXPECT_FALSE(second.answer.has_value());
  EXPECT_EQ(node_->picture()->sites.Find("b"), nullptr) << "readers see only what is durable";
  executor_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(second.code(), absl::StatusCode::kOk);
}

TEST_F(NodeCommitsTest, WhatChangesNothingIsAnsweredAfterWhatCameBefore) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  faulty_.delay = [] { return absl::Milliseconds(10); };
  std::vector<std::string> order;
  const auto call = [&](const std::string& name, MessagePointer request) {
    node_->Call(admin, std::move(request), [&order, name](const auto&) { order.push_back(name); });
  };
  call("committed", CreateSite("a"));
  executor_.Advance(absl::Milliseconds(1));
  const size_t commits = committed_.size();
  // The same request again: its answer is known by then.
  call("repeated", CreateSite("a"));
  executor_.Advance(absl::Milliseconds(10));
  EXPECT_THAT(order, ElementsAre("committed", "repeated"));
  EXPECT_EQ(committed_.size(), commits + 1);
}

TEST_F(NodeCommitsTest, SignInsWaitAMomentForThoseThatAreUnderWay) {
  StartLeading();
  const Caller caller = CallerOf("client/tc-1", v1::IDENTITY_CLIENT);
  const auto sign_in = [&](const std::string& user, absl::Duration delay, Got& got) {
    directory_.SetDelay(delay);
    node_->SignIn(caller, SignInOf(user, Code(user)), got.Callback());
  };
  Got first;
  Got second;
  Got third;
  Got last;
  // Alone, and none under way: at once.
  sign_in("jan", absl::ZeroDuration(), first);
  executor_.RunUntilIdle();
  ASSERT_TRUE(first.answer.has_value());
  EXPECT_TRUE(first.answer->ok()) << first.answer->status();
  const size_t commits = committed_.size();
  // A commit began just now, and another sign-in is under way: both share the next.
  sign_in("beheer", absl::Milliseconds(1), second);
  sign_in("beheer", absl::Milliseconds(2), third);
  sign_in("jan", absl::Milliseconds(50), last);
  executor_.Advance(absl::Milliseconds(2));
  EXPECT_FALSE(second.answer.has_value());
  EXPECT_FALSE(third.answer.has_value());
  executor_.Advance(absl::Milliseconds(1));
  ASSERT_TRUE(second.answer.has_value());
  EXPECT_TRUE(second.answer->ok()) << second.answer->status();
  // The same code twice.
  EXPECT_EQ(third.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(committed_.size(), commits + 1);
  EXPECT_FALSE(last.answer.has_value());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(last.times, 1);
}

TEST_F(NodeCommitsTest, OtherCallsDoNotWaitWithTheSignIns) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  directory_.SetDelay(absl::Seconds(1));
  Got slow;
  node_->SignIn(CallerOf("client/tc-1", v1::IDENTITY_CLIENT), SignInOf("jan", Code("jan")),
                slow.Callback());
  for (const char* site : {"noord", "zuid"}) {
    Got got;
    node_->Call(admin, CreateSite(site), got.Callback());
    executor_.RunUntilIdle();
    EXPECT_EQ(got.code(), absl::StatusCode::kOk) << site;
  }
  executor_.Advance(absl::Seconds(2));
  EXPECT_EQ(slow.times, 1);
}

TEST_F(NodeCommitsTest, ABatchIsBounded) {
  settings_.max_batch = 8;
  StartLeading();
  const Caller admin = SignedInAdmin();
  const size_t before = committed_.size();
  std::vector<Got> got(20);
  for (int i = 0; i < 20; ++i) {
    node_->Call(admin, CreateSite(absl::StrCat("s", i)), got[i].Callback());
  }
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(committed_.size(), before + 3);
  for (const Got& each : got) EXPECT_EQ(each.times, 1);
}

}  // namespace
}  // namespace werkplek
