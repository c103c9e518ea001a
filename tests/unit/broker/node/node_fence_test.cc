// The node hands FenceHost to the fencer, after the commit, and its answer back to the core.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tests/support/fake_fencer.h"
#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NodeFenceTest : public NodeHarness {
 protected:
  void SetUp() override {
    NodeHarness::SetUp();
    settings_.broker.fence_command = true;
    v1::Resource host;
    host.set_name("hv-a1");
    host.mutable_host()->set_site("a");
    v1::Resource pool;
    pool.set_name("eigen");
    pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
    pool.mutable_pool()->set_storage("san");
    pool.mutable_pool()->set_max_desktops(1);
    v1::Desktop desktop;
    desktop.set_id("eigen-1");
    desktop.set_pool("eigen");
    desktop.set_host("hv-a1");
    desktop.set_owner("jan");
    desktop.set_generation(2);
    desktop.mutable_proof()->set_generation(1);
    desktop.set_state(v1::DESKTOP_STATE_LOST);
    memory_.Commit(0,
                   {Put(kHostTable, "hv-a1", host), Put(kPoolTable, "eigen", pool),
                    Put(kDesktopTable, "eigen-1", desktop)},
                   [](const absl::Status&) {});
  }
  template <typename Record>
  static v1::Change Put(absl::string_view table, const std::string& key, const Record& record) {
    v1::Change change;
    change.set_table(std::string(table));
    change.set_key(key);
    change.set_value(record.SerializeAsString());
    return change;
  }
  const v1::Desktop& Desktop() { return *node_->picture()->desktops.Find("eigen-1"); }

  // The host reports each second; `fence_after` is what its agent was told of that, when.
  void ReportFor(absl::Duration how_long, absl::Duration fence_after) {
    if (link_ == 0) link_ = node_->AgentAttached("hv-a1");
    for (absl::Duration at; at < how_long; at += absl::Seconds(1)) {
      v1::AgentReport report;
      report.set_host("hv-a1");
      report.set_agent_run("run-1");
      report.set_adopted(true);
      report.set_seen_epoch(election_.last_epoch());
      report.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(fence_after)));
      report.set_sequence(++sequence_);
      sent_at_[sequence_] = executor_.Monotonic();
      node_->AgentReported("hv-a1", link_, report);
      executor_.Advance(absl::Seconds(1));
      EXPECT_NE(node_->picture(), nullptr);
    }
  }
  // When the newest report that was answered had been sent.
  absl::Duration HeardAt() {
    absl::Duration heard = -absl::InfiniteDuration();
    for (const FakeAgentLinks::Sent& sent : links_.sent) {
      if (sent.command.verb() != v1::COMMAND_HEARD) continue;
      EXPECT_EQ(sent.link, link_);
      EXPECT_LE(sent.command.epoch(), election_.last_epoch());
      heard = std::max(heard, sent_at_.at(sent.command.heard_sequence()));
    }
    return heard;
  }

  uint64_t link_ = 0;
  uint64_t sequence_ = 0;
  std::map<uint64_t, absl::Duration> sent_at_;
  FakeFencer fencer_{&executor_};
};

TEST_F(NodeFenceTest, TheFencersWordIsCommitted) {
  fencer_part_ = &fencer_;
  StartLeading();
  executor_.Advance(absl::Seconds(9));
  EXPECT_THAT(fencer_.asked, IsEmpty()) << "it may speak yet";
  executor_.Advance(absl::Seconds(2));
  EXPECT_THAT(fencer_.asked, ElementsAre("hv-a1"));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(Desktop().fenced_by(), "fence command");
}

TEST_F(NodeFenceTest, AFailureIsTriedAgainLater) {
  fencer_part_ = &fencer_;
  fencer_.answers["hv-a1"] = absl::UnavailableError("no route");
  StartLeading();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(fencer_.asked, SizeIs(1));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
  executor_.Advance(absl::Seconds(60));
  EXPECT_THAT(fencer_.asked, SizeIs(3)) << "after 10 s and 20 s more";
}

TEST_F(NodeFenceTest, AnAnswerForALeadThatIsOverSaysNothing) {
  fencer_part_ = &fencer_;
  fencer_.delay = absl::Seconds(5);
  StartLeading();
  executor_.Advance(absl::Seconds(12));
  ASSERT_THAT(fencer_.asked, SizeIs(1));
  election_.SetWins(false);
  executor_.Advance(absl::Seconds(1));
  election_.SetWins(true);
  executor_.Advance(absl::Seconds(6));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
}

TEST_F(NodeFenceTest, AFullStoreKeepsNoAgentWaiting) {
  StartLeading();
  // That the desktop is there no more is to be written at each report, and cannot be.
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  for (int second = 0; second < 60; ++second) {
    ReportFor(absl::Seconds(1), settings_.broker.fence_after);
    EXPECT_LE(executor_.Monotonic() - HeardAt(), absl::Seconds(2)) << second;
  }
  EXPECT_THAT(links_.closed, IsEmpty());
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
  faulty_.commit_fault = [] { return StoreFault::kNone; };
  ReportFor(absl::Seconds(5), settings_.broker.fence_after);
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST)
      << "a start that was sent under this epoch may be under way";
  ReportFor(absl::Seconds(15), settings_.broker.fence_after);
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_OFF);
}

TEST_F(NodeFenceTest, AFullStoreTellsNoAgentToWaitLonger) {
  StartLeading();
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  ReportFor(absl::Seconds(20), settings_.broker.fence_after - absl::Seconds(2));
  EXPECT_EQ(HeardAt(), -absl::InfiniteDuration());
}

TEST_F(NodeFenceTest, AFullStoreAnswersNoHostThatIsNotDeclared) {
  StartLeading();
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  const uint64_t link = node_->AgentAttached("hv-z9");
  ReportFor(absl::Seconds(1), settings_.broker.fence_after);
  v1::AgentReport report;
  report.set_host("hv-z9");
  report.set_sequence(1);
  report.set_fence_after_ms(10'000);
  node_->AgentReported("hv-z9", link, report);
  ReportFor(absl::Seconds(5), settings_.broker.fence_after);
  for (const FakeAgentLinks::Sent& sent : links_.sent) EXPECT_EQ(sent.host, "hv-a1");
}

TEST_F(NodeFenceTest, WhoWasHeardWhileTheStoreWasFullIsGivenTheWholeTimeAfterwards) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  ReportFor(absl::Seconds(3), settings_.broker.fence_after);
  ASSERT_EQ(Desktop().fence_after_ms(), 10'000u);
  // The store still has it lost, and takes nothing; then the host falls silent.
  v1::Desktop lost = Desktop();
  lost.set_state(v1::DESKTOP_STATE_LOST);
  lost.clear_fenced_generation();
  memory_.Commit(1, {Put(kDesktopTable, "eigen-1", lost)}, [](const absl::Status&) {});
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  for (int second = 0; second < 30; ++second) {
    Got refused;
    node_->Call(admin, CreateSite("b"), refused.Callback());
    ReportFor(absl::Seconds(1), settings_.broker.fence_after);
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  }
  const absl::Duration heard_at = HeardAt();
  faulty_.commit_fault = [] { return StoreFault::kNone; };
  executor_.Advance(heard_at + settings_.broker.fence_after + settings_.broker.fence_margin -
                    executor_.Monotonic());
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST) << "its agent may not have stopped it yet";
  executor_.Advance(absl::Seconds(15));
  EXPECT_EQ(Desktop().fenced_by(), "time");
}

TEST_F(NodeFenceTest, ACommitThatHangsKeepsNoAgentWaiting) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  ReportFor(absl::Seconds(3), settings_.broker.fence_after);
  faulty_.delay = [] { return absl::Seconds(60); };
  Got got;
  node_->Call(admin, CreateSite("b"), got.Callback());
  executor_.Advance(absl::Milliseconds(20));
  faulty_.delay = [] { return absl::ZeroDuration(); };
  for (int second = 0; second < 50; ++second) {
    ReportFor(absl::Seconds(1), settings_.broker.fence_after);
    EXPECT_LE(executor_.Monotonic() - HeardAt(), absl::Seconds(5)) << second;
    if (second > 3) EXPECT_LE(executor_.Monotonic() - HeardAt(), absl::Seconds(2)) << second;
  }
  EXPECT_EQ(got.code(), absl::StatusCode::kUnavailable) << "long before it is durable";
  EXPECT_EQ(node_->picture()->sites.Find("b"), nullptr);
  ReportFor(absl::Seconds(15), settings_.broker.fence_after);
  EXPECT_NE(node_->picture()->sites.Find("b"), nullptr) << "it was durable in the end";
  EXPECT_EQ(election_.last_epoch(), 2u) << "commands of the first may be under way";
  Got next;
  node_->Call(admin, CreateSite("c"), next.Callback());
  executor_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(next.code(), absl::StatusCode::kOk);
}

TEST_F(NodeFenceTest, AHungCommitOfALeadThatIsOverChangesNothing) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  faulty_.delay = [] { return absl::Seconds(20); };
  Got got;
  node_->Call(admin, CreateSite("b"), got.Callback());
  executor_.Advance(absl::Seconds(5));
  faulty_.delay = [] { return absl::ZeroDuration(); };
  election_.StepDown();
  executor_.Advance(absl::Seconds(1));
  ASSERT_EQ(election_.last_epoch(), 2u);
  Got next;
  node_->Call(admin, CreateSite("c"), next.Callback());
  executor_.Advance(absl::Seconds(20));
  EXPECT_EQ(next.code(), absl::StatusCode::kOk);
  EXPECT_EQ(node_->picture()->sites.Find("b"), nullptr) << "an epoch too late";
}

TEST_F(NodeFenceTest, WhoWasHeardWhileACommitHungIsGivenTheWholeTimeAfterwards) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  ReportFor(absl::Seconds(3), settings_.broker.fence_after);
  v1::Desktop lost = Desktop();
  lost.set_state(v1::DESKTOP_STATE_LOST);
  lost.clear_fenced_generation();
  memory_.Commit(1, {Put(kDesktopTable, "eigen-1", lost)}, [](const absl::Status&) {});
  faulty_.delay = [] { return absl::Seconds(31); };
  Got got;
  node_->Call(admin, CreateSite("b"), got.Callback());
  executor_.Advance(absl::Milliseconds(20));
  faulty_.delay = [] { return absl::ZeroDuration(); };
  ReportFor(absl::Seconds(30), settings_.broker.fence_after);
  // The host falls silent, then the commit ends.
  const absl::Duration heard_at = HeardAt();
  EXPECT_GE(heard_at, executor_.Monotonic() - absl::Seconds(2));
  executor_.Advance(heard_at + settings_.broker.fence_after + settings_.broker.fence_margin -
                    executor_.Monotonic());
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST) << "its agent may not have stopped it yet";
  executor_.Advance(absl::Seconds(15));
  EXPECT_EQ(Desktop().fenced_by(), "time");
}

TEST_F(NodeFenceTest, WithoutAFencerNothingIsKnown) {
  StartLeading();
  executor_.Advance(absl::Seconds(12));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
}

}  // namespace
}  // namespace werkplek
