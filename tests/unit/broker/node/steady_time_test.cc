// What the core takes for the time, and what the node does when the loop stood still: nobody's host
// is judged by a clock that somebody set, or by time in which the broker heard nothing at all.
#include "broker/node/steady_time.h"

#include "tests/sim/process_executor.h"
#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kStart = absl::FromUnixSeconds(1'900'000'000);

TEST(SteadyTimeTest, IsTheWallsWhileNobodySetsIt) {
  SteadyTime time(kStart, absl::Seconds(5));
  EXPECT_EQ(time.Now(kStart, absl::Seconds(5)), kStart);
  EXPECT_EQ(time.Now(kStart + absl::Seconds(7), absl::Seconds(12)), kStart + absl::Seconds(7));
}

TEST(SteadyTimeTest, GoesBackToTheWallsAtATenth) {
  SteadyTime time(kStart, absl::ZeroDuration());
  const absl::Duration jump = absl::Hours(1);
  EXPECT_EQ(time.Now(kStart + jump, absl::ZeroDuration()), kStart) << "no time has passed";
  EXPECT_EQ(time.Now(kStart + jump + absl::Seconds(10), absl::Seconds(10)),
            kStart + absl::Seconds(11));
  EXPECT_EQ(time.Now(kStart - jump + absl::Seconds(20), absl::Seconds(20)),
            kStart + absl::Seconds(20))
      << "back at nine tenths";
  EXPECT_EQ(time.Now(kStart + absl::Seconds(40.5), absl::Seconds(40)), kStart + absl::Seconds(40.5))
      << "and no further than the wall's";
}

TEST(SteadyTimeTest, NeverGoesBack) {
  SteadyTime time(kStart, absl::Seconds(100));
  const absl::Time before = time.Now(kStart - absl::Hours(1), absl::Seconds(101));
  EXPECT_EQ(time.Now(kStart - absl::Hours(1), absl::Seconds(90)), before);
}

class JudgingTest : public NodeHarness {
 protected:
  // A node on a loop of its own, with a host that reports.
  void StartWithHost() {
    NodeParts parts;
    parts.executor = &loop_;
    parts.store = &faulty_;
    parts.election = &election_;
    parts.directory = &directory_;
    parts.agents = &links_;
    parts.tokens = tokens_.get();
    node_ = std::make_unique<BrokerNode>(settings_, parts);
    node_->Start();
    executor_.RunUntilIdle();
    admin_ = SignedInAdmin();
    Got site;
    node_->Call(admin_, CreateSite("a"), site.Callback());
    executor_.Advance(absl::Milliseconds(50));
    Got host;
    node_->Call(admin_, CreateHost("hv-0", "a"), host.Callback());
    executor_.Advance(absl::Milliseconds(50));
    ASSERT_EQ(host.code(), absl::StatusCode::kOk);
    link_ = node_->AgentAttached("hv-0");
    ReportFor(absl::Seconds(3));
    ASSERT_EQ(Liveness(), v1::LIVENESS_UP);
  }
  void ReportFor(absl::Duration how_long) {
    for (absl::Duration at; at < how_long; at += absl::Seconds(1)) {
      v1::AgentReport report;
      report.set_host("hv-0");
      report.set_agent_run("run-1");
      report.set_boot_id("boot-1");
      report.set_adopted(true);
      report.set_sequence(++sequence_);
      node_->AgentReported("hv-0", link_, report);
      executor_.Advance(absl::Seconds(1));
    }
  }
  v1::Liveness Liveness() {
    const HostSoft* soft = node_->picture()->host_soft.Find("hv-0");
    return soft == nullptr ? v1::LIVENESS_UNSPECIFIED : soft->liveness;
  }
  // The hosts that were ever judged down.
  std::vector<std::string> JudgedDown() const {
    std::vector<std::string> hosts;
    for (const ChangeSet& changes : committed_) {
      for (const v1::Change& change : changes) {
        v1::AuditRecord record;
        if (change.table() == std::string(kAuditTable) && record.ParseFromString(change.value()) &&
            record.action() == "host-down") {
          hosts.push_back(record.object());
        }
      }
    }
    return hosts;
  }

  sim::ProcessExecutor loop_{&executor_};
  Caller admin_;
  uint64_t link_ = 0;
  uint64_t sequence_ = 0;
};

TEST_F(JudgingTest, AHostThatIsSilentIsDown) {
  StartWithHost();
  executor_.Advance(settings_.broker.down_after + absl::Seconds(1));
  EXPECT_THAT(JudgedDown(), ElementsAre("host:hv-0"));
}

TEST_F(JudgingTest, ASetClockIsNobodysSilence) {
  StartWithHost();
  executor_.JumpWallClock(absl::Hours(1));
  executor_.Advance(absl::Milliseconds(600));
  ReportFor(absl::Seconds(15));
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  executor_.JumpWallClock(-absl::Hours(2));
  executor_.Advance(absl::Milliseconds(600));
  ReportFor(absl::Seconds(15));
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  EXPECT_THAT(JudgedDown(), IsEmpty());
}

TEST_F(JudgingTest, ALoopThatStoodStillTakesTheLeadAnewAndCountsAnew) {
  StartWithHost();
  loop_.Pause();
  executor_.Advance(absl::Seconds(30));
  loop_.Resume();
  executor_.Advance(absl::Seconds(1));
  ReportFor(absl::Seconds(3));
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  EXPECT_EQ(election_.last_epoch(), 2u);
  EXPECT_THAT(JudgedDown(), IsEmpty());
}

TEST_F(JudgingTest, ALoopThatStoodStillWhileItLoadedAgainAnswersNobody) {
  StartWithHost();
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  Got refused;
  node_->Call(admin_, CreateSite("zuid"), refused.Callback());
  executor_.Advance(absl::Milliseconds(50));
  ASSERT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  loop_.Pause();
  ReportFor(absl::Seconds(30));
  faulty_.commit_fault = [] { return StoreFault::kNone; };
  links_.sent.clear();
  loop_.Resume();
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(election_.last_epoch(), 2u);
  for (const FakeAgentLinks::Sent& sent : links_.sent) EXPECT_EQ(sent.command.epoch(), 2u);
}

TEST_F(JudgingTest, ACommitThatHangsIsNobodysSilence) {
  StartWithHost();
  int hangs = 1;
  faulty_.delay = [&] { return hangs-- > 0 ? absl::Seconds(12) : absl::ZeroDuration(); };
  Got zuid;
  node_->Call(admin_, CreateSite("zuid"), zuid.Callback());
  executor_.Advance(absl::Milliseconds(300));
  ReportFor(absl::Seconds(11));
  EXPECT_EQ(node_->picture()->sites.Find("zuid"), nullptr);
  ReportFor(absl::Seconds(2));
  EXPECT_EQ(zuid.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(node_->picture()->sites.Find("zuid"), nullptr);
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  EXPECT_EQ(election_.last_epoch(), 2u) << "the lead is taken anew";
  EXPECT_THAT(JudgedDown(), IsEmpty());
  // Time goes on all the same: who says nothing any more is down.
  executor_.Advance(settings_.broker.down_after + absl::Seconds(1));
  EXPECT_THAT(JudgedDown(), ElementsAre("host:hv-0"));
}

TEST_F(JudgingTest, AShortHaltCostsNothing) {
  StartWithHost();
  loop_.Pause();
  executor_.Advance(absl::Seconds(2));
  loop_.Resume();
  ReportFor(absl::Seconds(3));
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  EXPECT_EQ(election_.last_epoch(), 1u);
}

}  // namespace
}  // namespace werkplek
