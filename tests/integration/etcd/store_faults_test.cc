// The store in etcd when answers get lost, reads are old, etcd is full or holds something else.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/etcd/leadership.h"
#include "broker/store/etcd_store.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/etcd/cutting_proxy.h"
#include "tests/support/etcd/etcd_cluster.h"
#include "tests/support/etcd/stale_etcd.h"
#include "tests/support/store_client.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;

// One broker's store, through the endpoints given.
struct OneStore {
  OneStore(EtcdCluster& cluster, const EtcdSettings& settings, EtcdStoreSettings how = {})
      : client(cluster.Client(settings)), store(how, client.get(), &executor) {}
  uint64_t Claim() {
    return *calls.Wait<absl::StatusOr<uint64_t>>(
        [&](auto done) { store.ClaimEpoch(std::move(done)); });
  }
  LoopExecutor executor{"test"};
  std::unique_ptr<EtcdClient> client;
  EtcdStore store;
  StoreClient calls{&store, &executor};
};

EtcdStoreSettings Impatient() {
  EtcdStoreSettings settings;
  settings.commit_limit = absl::Seconds(1);
  return settings;
}

class EtcdStoreFaultsTest : public ::testing::Test {
 protected:
  std::string Key(const std::string& name) { return settings_.prefix + name; }
  EtcdCluster cluster_;
  const EtcdSettings settings_ = cluster_.Settings();
};

TEST_F(EtcdStoreFaultsTest, ClientsComeAndGo) {
  etcdserverpb::TxnRequest txn;
  txn.add_success()->mutable_request_range()->set_key("x");
  for (int i = 0; i < 200; ++i) {
    const auto client = cluster_.Client(settings_);
    EXPECT_TRUE(client->TxnAndWait(txn, EtcdRepeat::kAlways, absl::Seconds(5)).ok());
  }
}

TEST_F(EtcdStoreFaultsTest, AnAnswerThatIsLostLeavesTheOutcomeOpen) {
  CuttingProxy line(cluster_.endpoints()[0]);
  OneStore behind(cluster_, cluster_.Settings(settings_.prefix, {line.endpoint()}), Impatient());
  const uint64_t epoch = behind.Claim();
  ASSERT_TRUE(behind.calls.Commit(epoch, {PutDesktop("a", 1)}).ok());
  line.SetMode(CuttingProxy::Mode::kLoseAnswers);
  const absl::Status open = behind.calls.Commit(epoch, {PutDesktop("a", 2)});
  EXPECT_TRUE(absl::IsUnknown(open)) << open;
  // It was carried out, as whoever loads next finds.
  OneStore other(cluster_, settings_);
  const auto fleet = other.calls.Load(other.Claim());
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->desktops.Find("a")->generation(), 2u);
  line.SetMode(CuttingProxy::Mode::kRefuse);
  line.SetMode(CuttingProxy::Mode::kPass);
  // Until the line is up again nothing is done, and that is certain.
  absl::Status late = absl::UnavailableError("");
  for (int i = 0; i < 30 && absl::IsUnavailable(late); ++i) {
    late = behind.calls.Commit(epoch, {PutDesktop("a", 3)});
  }
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition) << late;
}

TEST_F(EtcdStoreFaultsTest, AnotherMemberKnowsWhatBecameOfACommit) {
  CuttingProxy line(cluster_.endpoints()[0]);
  OneStore both(cluster_,
                cluster_.Settings(settings_.prefix, {line.endpoint(), cluster_.endpoints()[0]}));
  const uint64_t epoch = both.Claim();
  ASSERT_TRUE(both.calls.Commit(epoch, {AppendAudit(1, "first")}).ok());
  line.SetMode(CuttingProxy::Mode::kLoseAnswers);
  const absl::Status done = both.calls.Commit(epoch, {AppendAudit(2, "second")});
  EXPECT_TRUE(done.ok()) << done;
  EXPECT_GT(line.bytes_in(), 0u) << "nothing went over the line that loses answers";
  const auto audit = both.calls.ReadAudit(0, 10);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->size(), 2u) << "the commit was made twice, or not at all";
}

TEST_F(EtcdStoreFaultsTest, WhatWasNeverSentWasNotDone) {
  CuttingProxy line(cluster_.endpoints()[0]);
  OneStore behind(cluster_, cluster_.Settings(settings_.prefix, {line.endpoint()}), Impatient());
  const uint64_t epoch = behind.Claim();
  ASSERT_TRUE(behind.calls.Commit(epoch, {PutDesktop("a", 1)}).ok());
  cluster_.Kill(0);
  line.SetMode(CuttingProxy::Mode::kRefuse);
  const absl::Status status = behind.calls.Commit(epoch, {PutDesktop("a", 2)});
  // The first try may have been under way on the old connection.
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsUnknown(status)) << status;
  const absl::Status second = behind.calls.Commit(epoch, {PutDesktop("a", 2)});
  EXPECT_TRUE(absl::IsUnavailable(second)) << second;
}

TEST_F(EtcdStoreFaultsTest, NothingRestsOnAStaleRead) {
  OneStore real(cluster_, settings_);
  const uint64_t first = real.Claim();
  ASSERT_TRUE(real.calls.Commit(first, {PutDesktop("a", 1)}).ok());
  StaleEtcd stale(real.client.get(), cluster_.pki().Issue(v1::IDENTITY_HOST, "stale"));
  const EtcdSettings through = cluster_.Settings(settings_.prefix, {stale.endpoint()});
  OneStore old(cluster_, through);
  ASSERT_TRUE(old.calls.Load(first).ok());
  etcdserverpb::TxnRequest look;
  look.add_success()->mutable_request_range()->set_key("x");
  const auto now = real.client->TxnAndWait(look, EtcdRepeat::kAlways, absl::Seconds(5));
  ASSERT_TRUE(now.ok()) << now.status();
  stale.Freeze(now->header().revision());
  // Another broker leads and writes, and the old one's etcd shows the past.
  const uint64_t second = real.Claim();
  ASSERT_TRUE(real.calls.Commit(second, {PutDesktop("a", 2), PutDesktop("b", 1)}).ok());
  EXPECT_EQ(old.calls.Load(first).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(old.calls.Commit(first, {PutDesktop("a", 9)}).code(),
            absl::StatusCode::kFailedPrecondition);
  // A new claim through the old eyes is still a new one, and what it loads is not the past. The
  // guard that each page looks at is old; the load then gives up, and never gives an old fleet.
  const uint64_t third = old.Claim();
  EXPECT_EQ(third, second + 1);
  const auto fleet = old.calls.Load(third);
  EXPECT_GT(stale.stale_answers(), 0);
  if (fleet.ok()) {
    EXPECT_EQ(fleet->desktops.size(), 2u);
    EXPECT_EQ(fleet->desktops.Find("a")->generation(), 2u);
  } else {
    EXPECT_TRUE(absl::IsUnavailable(fleet.status()) || absl::IsFailedPrecondition(fleet.status()))
        << fleet.status();
  }
  stale.Freeze(0);
  const auto healed = old.calls.Load(third);
  ASSERT_TRUE(healed.ok()) << healed.status();
  EXPECT_EQ(healed->desktops.Find("a")->generation(), 2u);
}

TEST_F(EtcdStoreFaultsTest, ANewerLayoutIsRefusedByNameAndLeftAsItIs) {
  cluster_.Ctl({"put", Key("schema"), "2"});
  cluster_.Ctl({"put", Key("epoch"), "00000000000000000009"});
  const std::string before = cluster_.Ctl({"get", settings_.prefix, "--prefix", "-w", "fields"});
  OneStore store(cluster_, settings_);
  const auto claim = store.calls.Wait<absl::StatusOr<uint64_t>>(
      [&](auto done) { store.store.ClaimEpoch(std::move(done)); });
  EXPECT_EQ(claim.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(claim.status().message()), HasSubstr("newer Werkplek (schema 2; this"));
  for (uint64_t epoch : {9, 10}) {
    EXPECT_THAT(std::string(store.calls.Load(epoch).status().message()), HasSubstr("schema 2"));
    EXPECT_THAT(std::string(store.calls.Commit(epoch, {PutDesktop("a", 1)}).message()),
                HasSubstr("schema 2"));
  }
  // But for the member's clock of requests, nothing has moved.
  const auto keys = [](const std::string& text) { return text.substr(text.find("\"Key\"")); };
  EXPECT_EQ(keys(cluster_.Ctl({"get", settings_.prefix, "--prefix", "-w", "fields"})),
            keys(before));
}

TEST_F(EtcdStoreFaultsTest, DamageIsFoundAndNamed) {
  OneStore store(cluster_, settings_);
  const uint64_t epoch = store.Claim();
  ASSERT_TRUE(store.calls.Commit(epoch, {PutDesktop("a", 1)}).ok());
  for (const char* key : {"record/desktop/b", "log/00000000000000000001", "head"}) {
    cluster_.Ctl({"put", Key(key), "not what a broker wrote"});
    const auto fleet = store.calls.Load(epoch);
    EXPECT_EQ(fleet.status().code(), absl::StatusCode::kDataLoss) << key << fleet.status();
    EXPECT_THAT(std::string(fleet.status().message()), HasSubstr("damaged"));
  }
}

TEST_F(EtcdStoreFaultsTest, AFullEtcdRefusesByNameAndGivesWhatItHas) {
  EtcdCluster small({.members = 1, .arguments = {"--quota-backend-bytes", "8388608"}});
  const EtcdSettings settings = small.Settings();
  OneStore store(small, settings);
  const uint64_t epoch = store.Claim();
  absl::Status full;
  uint64_t kept = 0;
  for (int i = 0; i < 64 && full.ok(); ++i) {
    full = store.calls.Commit(
        epoch, {PutDesktop("d", i + 1), PutChange("answered", "x", std::string(500'000, 'x'))});
    if (full.ok()) kept = i + 1;
  }
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("NOSPACE"));
  // What was refused was not done; and the rest can still be read.
  const auto audit = store.calls.ReadAudit(0, 10);
  EXPECT_TRUE(audit.ok()) << audit.status();
  const auto fleet = store.calls.Load(epoch);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(fleet->desktops.Find("d")->generation(), kept);
}

// etcd measures again when it carries a write out: one that then finds it full is done, and etcd
// says that it is full. Others who write at the same moment bring that about.
TEST_F(EtcdStoreFaultsTest, ACommitThatFindsEtcdFullWhenItIsDoneIsNotRefused) {
  for (int round = 0; round < 3; ++round) {
    EtcdCluster small({.members = 1, .arguments = {"--quota-backend-bytes", "8388608"}});
    const EtcdSettings settings = small.Settings();
    OneStore store(small, settings);
    const auto others = small.Client(settings);
    const uint64_t epoch = store.Claim();
    absl::Status status;
    uint64_t kept = 0;
    for (int i = 0; i < 64 && status.ok(); ++i) {
      for (int other = 0; other < 4; ++other) {
        etcdserverpb::TxnRequest txn;
        ThenPut(txn, absl::StrCat("others/", i, "/", other), std::string(200'000, 'x'));
        others->Txn(txn, EtcdRepeat::kIfNotDone, absl::Seconds(10), [](const auto&) {});
      }
      status = store.calls.Commit(
          epoch, {PutDesktop("d", i + 1), PutChange("answered", "x", std::string(200'000, 'x'))});
      if (status.ok()) kept = i + 1;
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    const auto fleet = store.calls.Load(epoch);
    ASSERT_TRUE(fleet.ok()) << fleet.status();
    const v1::Desktop* desktop = fleet->desktops.Find("d");
    EXPECT_EQ(desktop == nullptr ? 0 : desktop->generation(), kept);
  }
}

TEST_F(EtcdStoreFaultsTest, ARecordAtTheBoundIsTakenAndOneBeyondIsRefused) {
  OneStore store(cluster_, settings_);
  const uint64_t epoch = store.Claim();
  const size_t bound = EtcdStoreSettings().max_request_bytes;
  v1::Desktop desktop;
  desktop.set_id("big");
  desktop.set_pool(std::string(bound - 100, 'p'));
  EXPECT_TRUE(
      store.calls.Commit(epoch, {PutChange("desktop", "big", desktop.SerializeAsString())}).ok());
  desktop.set_pool(std::string(bound, 'p'));
  EXPECT_EQ(
      store.calls.Commit(epoch, {PutChange("desktop", "big", desktop.SerializeAsString())}).code(),
      absl::StatusCode::kResourceExhausted);
  const auto fleet = store.calls.Load(epoch);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->desktops.Find("big")->pool().size(), bound - 100);
}

TEST_F(EtcdStoreFaultsTest, AMemberUnderAnotherNameIsNotTrusted) {
  CuttingProxy line(cluster_.endpoints()[0], "127.0.0.2");
  OneStore store(cluster_, cluster_.Settings(settings_.prefix, {line.endpoint()}), Impatient());
  EXPECT_TRUE(absl::IsUnavailable(store.calls.Load(1).status())) << store.calls.Load(1).status();
  EXPECT_GT(line.bytes_in(), 0u) << "it was not even asked";
}

// --- size ---

TEST_F(EtcdStoreFaultsTest, TwentyThousandDesktopsAreLoadedInTime) {
  EtcdCluster three({.members = 3, .arguments = {}});
  OneStore store(three, three.Settings());
  const uint64_t epoch = store.Claim();
  ChangeSet fleet;
  for (int i = 0; i < 20'000; ++i) {
    v1::Desktop desktop;
    desktop.set_id(absl::StrCat("kantoor-", i));
    desktop.set_pool("kantoor");
    desktop.set_generation(i);
    desktop.set_host(absl::StrCat("hv-", i % 1000, std::string(150, 'x')));
    fleet.push_back(PutChange("desktop", desktop.id(), desktop.SerializeAsString()));
  }
  absl::Time began = absl::Now();
  ASSERT_TRUE(store.calls.Commit(epoch, fleet).ok());
  std::printf("one commit of 20,000 desktops: %s\n",
              absl::FormatDuration(absl::Now() - began).c_str());
  constexpr int kCommits = 1500;
  began = absl::Now();
  for (int i = 0; i < kCommits; ++i) {
    ASSERT_TRUE(store.calls.Commit(epoch, {fleet[i * 10], AppendAudit(i + 1, "user:jan")}).ok());
  }
  std::printf("commits, one after another, three members: %.0f/s\n",
              kCommits / absl::ToDoubleSeconds(absl::Now() - began));
  began = absl::Now();
  const auto loaded = store.calls.Load(epoch);
  const absl::Duration took = absl::Now() - began;
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->desktops.size(), 20'000u);
  EXPECT_EQ(loaded->audit_sequence, static_cast<uint64_t>(kCommits));
  std::printf("load of 20,000 desktops: %s\n", absl::FormatDuration(took).c_str());
  EXPECT_LT(took, absl::Seconds(10));
  const auto audit = store.calls.ReadAudit(kCommits - 5, 100);
  ASSERT_TRUE(audit.ok());
  EXPECT_EQ(audit->size(), 5u);
}

}  // namespace
}  // namespace werkplek
