#include "broker/node/broker_node.h"

#include <set>

#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using BrokerNodeTest = NodeHarness;

TEST_F(BrokerNodeTest, AnswersOnlyWhenTheCommitIsDurable) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  const size_t before = committed_.size();
  faulty_.delay = [] { return absl::Milliseconds(40); };
  Got got;
  node_->Call(admin, CreateSite("a"), got.Callback());
  executor_.Advance(absl::Milliseconds(30));
  EXPECT_FALSE(got.answer.has_value());
  EXPECT_EQ(committed_.size(), before);
  EXPECT_EQ(node_->picture()->sites.size(), 0u) << "readers see only what is durable";
  executor_.Advance(absl::Milliseconds(20));
  ASSERT_TRUE(got.answer.has_value());
  EXPECT_TRUE(got.answer->ok()) << got.answer->status();
  EXPECT_EQ(committed_.size(), before + 1);
}

TEST_F(BrokerNodeTest, ACertificateIsGivenWhenItsRecordIsDurable) {
  StartLeading();
  werkplek::CertificateIssued issued;
  issued.peer = "host/hv-a1";
  issued.certificate_sha256 = std::string(32, 'c');
  faulty_.delay = [] { return absl::Milliseconds(40); };
  Got got;
  node_->RecordCertificate(issued, got.Callback());
  executor_.Advance(absl::Milliseconds(30));
  EXPECT_FALSE(got.answer.has_value());
  executor_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(got.code(), absl::StatusCode::kOk);
  const uint64_t last = node_->picture()->audit_sequence;
  // What could not be written down is not given.
  faulty_.commit_fault = [] { return StoreFault::kBefore; };
  Got refused;
  node_->RecordCertificate(issued, refused.Callback());
  executor_.Advance(absl::Milliseconds(60));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(node_->picture()->audit_sequence, last);
  node_->Stop();
  Got late;
  node_->RecordCertificate(issued, late.Callback());
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);
}

TEST_F(BrokerNodeTest, WhoHasAnAnswerReadsWhatItSays) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  bool seen = false;
  node_->Call(admin, CreateSite("a"), [&](const absl::StatusOr<MessagePointer>&) {
    seen = node_->picture()->sites.Find("a") != nullptr;
  });
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_TRUE(seen);
}

TEST_F(BrokerNodeTest, WhatWaitsSharesOneCommitAndIsAnsweredInOrder) {
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

TEST_F(BrokerNodeTest, SignInsWaitAMomentForThoseThatAreUnderWay) {
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

TEST_F(BrokerNodeTest, OtherCallsDoNotWaitWithTheSignIns) {
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

TEST_F(BrokerNodeTest, ABatchIsBounded) {
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

TEST_F(BrokerNodeTest, ACommitThatFailsIsTakenBackAndMayBeTriedAgain) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  int faults = 1;
  faulty_.commit_fault = [&] { return faults-- > 0 ? StoreFault::kBefore : StoreFault::kNone; };
  Got failed;
  node_->Call(admin, CreateSite("a"), failed.Callback());
  executor_.Advance(absl::Milliseconds(20));
  EXPECT_EQ(failed.code(), absl::StatusCode::kUnavailable);
  ASSERT_NE(node_->picture(), nullptr) << "what is durable is served all the while";
  EXPECT_EQ(node_->picture()->sites.size(), 0u);
  executor_.Advance(absl::Seconds(1));
  ASSERT_NE(node_->picture(), nullptr);
  EXPECT_EQ(node_->picture()->sites.size(), 0u);
  EXPECT_EQ(election_.last_epoch(), 1u) << "nothing was written: the lead is kept";
  Got again;
  node_->Call(admin, CreateSite("a"), again.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(again.code(), absl::StatusCode::kOk);
}

TEST_F(BrokerNodeTest, AnUnknownOutcomeStepsDownAndLoadsTheTruth) {
  for (const StoreFault fault : {StoreFault::kAfter, StoreFault::kInDoubt}) {
    StartLeading();
    const Caller admin = SignedInAdmin();
    const std::string name = fault == StoreFault::kAfter ? "after" : "in-doubt";
    const uint64_t epoch = election_.last_epoch();
    int faults = 1;
    faulty_.commit_fault = [&] { return faults-- > 0 ? fault : StoreFault::kNone; };
    Got failed;
    node_->Call(admin, CreateSite(name), failed.Callback());
    executor_.Advance(absl::Seconds(1));
    EXPECT_EQ(failed.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(election_.last_epoch(), epoch + 1);
    ASSERT_NE(node_->picture(), nullptr);
    EXPECT_EQ(node_->picture()->sites.Find(name) != nullptr, fault == StoreFault::kAfter);
    // The same request gets the same answer, whether it had been done or not.
    Got again;
    node_->Call(admin, CreateSite(name), again.Callback());
    executor_.Advance(absl::Milliseconds(50));
    EXPECT_EQ(again.code(), absl::StatusCode::kOk);
    EXPECT_EQ(node_->picture()->sites.Find(name)->version(), 1u);
    node_.reset();
    faulty_.commit_fault = [] { return StoreFault::kNone; };
    executor_.Advance(absl::Seconds(40));  // A fresh code.
  }
}

TEST_F(BrokerNodeTest, ANewerLeaderEndsThisOne) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  memory_.ClaimEpoch([this](absl::StatusOr<uint64_t> epoch) { election_.Surpass(*epoch); });
  Got refused;
  node_->Call(admin, CreateSite("a"), refused.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(election_.last_epoch(), 3u);
  executor_.Advance(absl::Seconds(1));
  ASSERT_NE(node_->picture(), nullptr);
  EXPECT_EQ(node_->picture()->sites.size(), 0u);
}

TEST_F(BrokerNodeTest, ALoadThatFailsIsTriedAgain) {
  int failures = 3;
  faulty_.load_fault = [&] {
    return failures-- > 0 ? absl::UnavailableError("away") : absl::OkStatus();
  };
  Make();
  node_->Start();
  executor_.RunUntilIdle();
  EXPECT_EQ(node_->picture(), nullptr);
  Got refused;
  node_->Call(CallerOf("admin/a-1", v1::IDENTITY_ADMIN), CreateSite("a"), refused.Callback());
  executor_.RunUntilIdle();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  executor_.Advance(absl::Seconds(5));
  EXPECT_NE(node_->picture(), nullptr);
}

TEST_F(BrokerNodeTest, WithoutTheLeadCallsAreUnavailable) {
  election_.SetWins(false);
  Make();
  node_->Start();
  executor_.Advance(absl::Seconds(1));
  Got sign_in, call;
  absl::StatusOr<v1::ConnectUpdate> connect;
  node_->SignIn(CallerOf("client/c", v1::IDENTITY_CLIENT), SignInOf("jan", "123456"),
                sign_in.Callback());
  node_->Call(CallerOf("admin/a", v1::IDENTITY_ADMIN), CreateSite("a"), call.Callback());
  node_->Connect(CallerOf("client/c", v1::IDENTITY_CLIENT), v1::ConnectRequest(),
                 [&](const absl::StatusOr<v1::ConnectUpdate>& update, bool last) {
                   connect = update;
                   EXPECT_TRUE(last);
                 });
  EXPECT_EQ(call.times, 0) << "answers come on the loop";
  executor_.RunUntilIdle();
  EXPECT_EQ(sign_in.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(call.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(connect.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(directory_.asked(), 0);
}

TEST_F(BrokerNodeTest, WithAWrongClockNoCodeIsJudgedAndAllElseGoesOn) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  clock_good_ = false;
  const int asked = directory_.asked();
  Got sign_in, confirm, call;
  node_->SignIn(CallerOf("client/c", v1::IDENTITY_CLIENT), SignInOf("jan", Code("jan")),
                sign_in.Callback());
  auto request = std::make_shared<v1::ConfirmTokenRequest>();
  request->set_request_id("confirm");
  request->set_user("jan");
  request->set_code(Code("jan"));
  node_->Call(admin, request, confirm.Callback());
  node_->Call(admin, CreateSite("a"), call.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(sign_in.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(sign_in.answer->status().message()), ::testing::HasSubstr("clock"));
  EXPECT_EQ(confirm.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(call.code(), absl::StatusCode::kOk);
  EXPECT_EQ(directory_.asked(), asked) << "no password is tried";
  clock_good_ = true;
  Got again;
  node_->SignIn(CallerOf("client/c", v1::IDENTITY_CLIENT), SignInOf("jan", Code("jan")),
                again.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(again.code(), absl::StatusCode::kOk);
}

TEST_F(BrokerNodeTest, AFullQueueSaysSo) {
  settings_.max_waiting_events = 10;
  StartLeading();
  const Caller admin = SignedInAdmin();
  std::vector<Got> got(30);
  for (int i = 0; i < 30; ++i) {
    node_->Call(admin, CreateSite(absl::StrCat("s", i)), got[i].Callback());
  }
  // What agents say is never refused.
  const uint64_t link = node_->AgentAttached("hv-0");
  EXPECT_NE(link, 0u);
  executor_.Advance(absl::Milliseconds(50));
  int ok = 0, refused = 0;
  for (const Got& each : got) {
    EXPECT_EQ(each.times, 1);
    ok += each.code() == absl::StatusCode::kOk;
    refused += each.code() == absl::StatusCode::kResourceExhausted;
  }
  EXPECT_EQ(ok, 10);
  EXPECT_EQ(refused, 20);
}

TEST_F(BrokerNodeTest, StopAnswersWhatWaitsAndAllLaterCalls) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  faulty_.delay = [] { return absl::Seconds(5); };
  Got waiting, late;
  node_->Call(admin, CreateSite("a"), waiting.Callback());
  executor_.Advance(absl::Milliseconds(10));
  node_->Stop();
  EXPECT_EQ(waiting.code(), absl::StatusCode::kUnavailable);
  node_->Call(admin, CreateSite("b"), late.Callback());
  EXPECT_EQ(late.code(), absl::StatusCode::kUnavailable);
  executor_.Advance(absl::Minutes(1));
  EXPECT_EQ(waiting.times, 1);
  EXPECT_EQ(late.times, 1);
  EXPECT_EQ(node_->picture(), nullptr);
}

TEST_F(BrokerNodeTest, ACancelledCallIsNotAnswered) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  int updates = 0;
  v1::ConnectRequest request;
  request.set_request_id("c1");
  request.set_pool("nothing");
  const CallId call = node_->Connect(
      admin, request, [&](const absl::StatusOr<v1::ConnectUpdate>&, bool) { ++updates; });
  node_->Cancel(call);
  executor_.Advance(absl::Seconds(1));
  EXPECT_EQ(updates, 0);
}

TEST_F(BrokerNodeTest, WatchesSeeEachCommitOnceAndReloadsAsSuch) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  std::vector<std::string> seen;
  uint64_t revision = node_->picture()->revision;
  const uint64_t watch = node_->Watch([&](const Committed& committed) {
    EXPECT_GT(committed.picture->revision, revision);
    revision = committed.picture->revision;
    ASSERT_NE(committed.changes, nullptr);
    if (committed.reloaded) seen.push_back("reloaded");
    for (const v1::Change& change : *committed.changes) {
      if (change.table() == "site") seen.push_back(change.key());
    }
  });
  Got got;
  node_->Call(admin, CreateSite("a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  election_.StepDown();
  executor_.Advance(absl::Milliseconds(50));
  node_->Call(admin, CreateSite("b"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  node_->Unwatch(watch);
  node_->Call(admin, CreateSite("c"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(seen, ElementsAre("a", "reloaded", "b"));
}

TEST_F(BrokerNodeTest, AWatchMayEndItself) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  int calls = 0;
  uint64_t watch = 0;
  watch = node_->Watch([&](const Committed&) {
    ++calls;
    node_->Unwatch(watch);
  });
  Got got;
  node_->Call(admin, CreateSite("a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  node_->Call(admin, CreateSite("b"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_EQ(calls, 1);
}

v1::AgentReport ReportOf(const std::string& host, uint64_t sequence) {
  v1::AgentReport report;
  report.set_host(host);
  report.set_agent_run("run");
  report.set_sequence(sequence);
  report.set_adopted(true);
  return report;
}

// The sequences that agents were told were heard.
std::vector<uint64_t> Heard(const FakeAgentLinks& links) {
  std::vector<uint64_t> heard;
  for (const FakeAgentLinks::Sent& sent : links.sent) {
    if (sent.command.verb() == v1::COMMAND_HEARD) heard.push_back(sent.command.heard_sequence());
  }
  return heard;
}

TEST_F(BrokerNodeTest, StreamsAreKnownAgainAfterANewElection) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  Got got;
  node_->Call(admin, CreateSite("a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  node_->Call(admin, CreateHost("hv-0", "a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  ASSERT_EQ(got.code(), absl::StatusCode::kOk);
  const uint64_t link = node_->AgentAttached("hv-0");
  node_->AgentReported("hv-0", link, ReportOf("hv-0", 1));
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(Heard(links_), ElementsAre(1));
  election_.StepDown();
  executor_.Advance(absl::Milliseconds(50));
  node_->AgentReported("hv-0", link, ReportOf("hv-0", 2));
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(Heard(links_), ElementsAre(1, 2));
  EXPECT_EQ(links_.sent.back().command.epoch(), 2u);
  EXPECT_EQ(node_->picture()->host_soft.Find("hv-0")->link, link);
}

TEST_F(BrokerNodeTest, ANewerReportTakesThePlaceOfOneThatWaits) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  Got got;
  node_->Call(admin, CreateSite("a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  node_->Call(admin, CreateHost("hv-0", "a"), got.Callback());
  executor_.Advance(absl::Milliseconds(50));
  const uint64_t link = node_->AgentAttached("hv-0");
  for (uint64_t sequence = 1; sequence <= 5; ++sequence) {
    node_->AgentReported("hv-0", link, ReportOf("hv-0", sequence));
  }
  executor_.Advance(absl::Milliseconds(50));
  EXPECT_THAT(Heard(links_), ElementsAre(5));
}

TEST_F(BrokerNodeTest, ASecondStreamOfAHostEndsTheFirst) {
  StartLeading();
  const uint64_t first = node_->AgentAttached("hv-0");
  const uint64_t second = node_->AgentAttached("hv-0");
  EXPECT_NE(first, second);
  executor_.RunUntilIdle();
  ASSERT_THAT(links_.closed, SizeIs(1));
  EXPECT_EQ(links_.closed[0].link, first);
  // The late end of the first does not touch the second.
  node_->AgentDetached("hv-0", first);
  node_->AgentReported("hv-0", first, ReportOf("hv-0", 1));
  executor_.RunUntilIdle();
  EXPECT_THAT(links_.closed, SizeIs(1));
}

TEST_F(BrokerNodeTest, ReadsTheAudit) {
  StartLeading();
  std::vector<v1::AuditRecord> records;
  SignedInAdmin();
  node_->ReadAudit(0, 10, [&](absl::StatusOr<std::vector<v1::AuditRecord>> read) {
    ASSERT_TRUE(read.ok());
    records = *read;
  });
  executor_.Advance(absl::Milliseconds(50));
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records[0].action(), "sign-in");
}

TEST_F(BrokerNodeTest, UseIsToldAtMostOnceAMinute) {
  StartLeading();
  const Caller admin = SignedInAdmin();
  const auto last_used = [&] {
    const Picture fleet = node_->picture();
    return fleet->sign_ins.Find(*fleet->sign_in_by_token.Find(admin.token_sha256))
        ->last_used_unix_ms();
  };
  const int64_t at_first = last_used();
  executor_.Advance(absl::Seconds(90));
  const size_t before = committed_.size();
  for (int i = 0; i < 100; ++i) node_->SignInUsed(admin.token_sha256);
  executor_.Advance(absl::Seconds(1));
  EXPECT_GT(last_used(), at_first);
  EXPECT_EQ(committed_.size(), before + 1);
}

TEST_F(BrokerNodeTest, TellsHowLongStagesTook) {
  StartLeading();
  SignedInAdmin();
  const std::set<std::string> stages(stages_.begin(), stages_.end());
  EXPECT_THAT(stages, ::testing::IsSupersetOf({"directory", "token", "commit"}));
}

}  // namespace
}  // namespace werkplek
