// Elections on a real cluster while brokers and members die, stop and are cut off.
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "broker/store/etcd_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/etcd/campaigner.h"
#include "tests/support/etcd/cutting_proxy.h"
#include "tests/support/etcd/etcd_cluster.h"
#include "tests/support/store_client.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

LeaderInfo Broker(const std::string& name) { return {0, name, name + ":1", name + ":2"}; }

struct TwoCampaigners {
  explicit TwoCampaigners(absl::Duration ttl = Campaigner::kTtl)
      : a(cluster.Client(settings), Broker("a"), &news, ttl),
        b(cluster.Client(settings), Broker("b"), &news, ttl) {}

  // Until `a` leads and `b` follows it. False: not in time.
  bool Start() {
    a.Start();
    if (!Campaigner::Until([&] { return a.epoch() == 1; })) return false;
    b.Start();
    return Campaigner::Until([&] { return b.election()->leader().epoch == 1; });
  }

  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  CampaignNews news;
  Campaigner a;
  Campaigner b;
};

TEST(EtcdElectionFaultsTest, OfTwoOnlyOneLeadsAndTheOtherFollowsIt) {
  TwoCampaigners two;
  ASSERT_TRUE(two.Start());
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  EXPECT_EQ(b.election()->leader().client_address, "a:1");
  ASSERT_TRUE(Campaigner::Until([&] { return a.Count("renewed") >= 5; }));
  EXPECT_THAT(two.news.all(), ElementsAre("a elected 1"));
  // A leader that goes gives the lead back: nobody waits for its lease.
  a.election()->Stop();
  ASSERT_TRUE(Campaigner::Until([&] { return b.epoch() == 2; }));
  EXPECT_THAT(two.news.all(), ElementsAre("a elected 1", "b elected 2"));
}

TEST(EtcdElectionFaultsTest, ManyWhoTryAtOnceElectOneAtATime) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  CampaignNews news;
  std::vector<std::unique_ptr<Campaigner>> all;
  for (int i = 0; i < 5; ++i) {
    all.push_back(std::make_unique<Campaigner>(cluster.Client(settings),
                                               Broker("b" + std::to_string(i)), &news));
  }
  for (auto& one : all) one->Start();
  // Each leader goes as soon as it is there; the rest run again.
  for (size_t round = 1; round <= all.size(); ++round) {
    ASSERT_TRUE(Campaigner::Until([&] { return news.all().size() >= round; }));
    size_t leaders = 0;
    for (auto& one : all) {
      if (one->epoch() != round) continue;
      ++leaders;
      one->election()->Stop();
    }
    EXPECT_EQ(leaders, 1u) << "in round " << round;
  }
  EXPECT_EQ(news.all().size(), all.size());
}

TEST(EtcdElectionFaultsTest, AnotherLeadsWhenTheLeaderVanishes) {
  TwoCampaigners two;
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  a.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return a.epoch() == 1; }));
  // Before the other has heard of it.
  b.Start();
  a.Vanish();
  ASSERT_TRUE(Campaigner::Until([&] { return b.epoch() == 2; }));
  // The store takes no more of the old one.
  EtcdStore store({}, b.client(), b.callbacks());
  StoreClient client(&store, b.callbacks());
  EXPECT_EQ(client.Commit(1, {PutDesktop("d", 1)}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(client.Commit(2, {PutDesktop("d", 2)}).ok());
}

TEST(EtcdElectionFaultsTest, ALeaderThatIsCutOffStepsDownBeforeAnotherLeads) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  CuttingProxy line(cluster.endpoints()[0]);
  CampaignNews news;
  Campaigner a(cluster.Client(cluster.Settings(settings.prefix, {line.endpoint()})), Broker("a"),
               &news);
  Campaigner b(cluster.Client(settings), Broker("b"), &news);
  a.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return a.epoch() == 1; }));
  b.Start();
  line.SetMode(CuttingProxy::Mode::kHold);
  ASSERT_TRUE(Campaigner::Until([&] { return b.epoch() == 2; }));
  EXPECT_THAT(news.all(), ElementsAre("a elected 1", "a lost", "b elected 2"));
  line.SetMode(CuttingProxy::Mode::kPass);
  // Back on the line it follows.
  ASSERT_TRUE(Campaigner::Until([&] { return a.election()->leader().epoch == 2; }));
}

// A lease that outlasts the test: who leads after its holder did not wait for it.
constexpr absl::Duration kLongLease = absl::Seconds(60);

TEST(EtcdElectionFaultsTest, ALeaderThatHasGoneIsNotWaitedFor) {
  TwoCampaigners two(kLongLease);
  ASSERT_TRUE(two.Start());
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  a.Vanish();
  // Of another lead than the present one nothing follows.
  for (const uint64_t other : {0, 2}) b.election()->LeaderSeen(other, LeaderSign::kGone);
  b.election()->LeaderSeen(1, LeaderSign::kGone);
  ASSERT_TRUE(Campaigner::Until([&] { return b.epoch() == 2; }));
  EXPECT_EQ(b.Count("taken-over"), 1);
  EXPECT_THAT(two.news.all(), ElementsAre("a elected 1", "b elected 2"));
}

TEST(EtcdElectionFaultsTest, ALeaderThatIsWronglySaidToHaveGoneHarmsNothing) {
  TwoCampaigners two;
  ASSERT_TRUE(two.Start());
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  b.election()->LeaderSeen(1, LeaderSign::kGone);
  ASSERT_TRUE(Campaigner::Until([&] { return b.epoch() == 2; }));
  EtcdStore store({}, a.client(), a.callbacks());
  StoreClient client(&store, a.callbacks());
  EXPECT_EQ(client.Commit(1, {PutDesktop("d", 1)}).code(), absl::StatusCode::kFailedPrecondition);
  // The old one finds out at its next renewal, and follows.
  ASSERT_TRUE(Campaigner::Until([&] { return a.election()->leader().epoch == 2; }));
  EXPECT_EQ(a.epoch(), 0u);
  EXPECT_EQ(b.epoch(), 2u);
}

TEST(EtcdElectionFaultsTest, ASilentLeaderThatRenewsItsLeaseGoesOnLeading) {
  TwoCampaigners two;
  ASSERT_TRUE(two.Start());
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  const int renewed = a.Count("renewed");
  ASSERT_TRUE(Campaigner::Until([&] {
    b.election()->LeaderSeen(1, LeaderSign::kSilent);
    return a.Count("renewed") >= renewed + 10;
  }));
  EXPECT_THAT(two.news.all(), ElementsAre("a elected 1"));
}

TEST(EtcdElectionFaultsTest, ASilentLeaderThatRenewsNoMoreHasHalfItsLease) {
  TwoCampaigners two(absl::Seconds(20));
  ASSERT_TRUE(two.Start());
  Campaigner& a = two.a;
  Campaigner& b = two.b;
  const absl::Duration began = b.callbacks()->Monotonic();
  a.Vanish();
  ASSERT_TRUE(Campaigner::Until([&] {
    b.election()->LeaderSeen(1, LeaderSign::kSilent);
    return b.epoch() == 2;
  }));
  const absl::Duration took = b.callbacks()->Monotonic() - began;
  // It had renewed within the fifth of its time before it vanished.
  EXPECT_GT(took, absl::Seconds(20) / 2 - absl::Seconds(20) / 5 - absl::Seconds(1));
  EXPECT_LT(took, absl::Seconds(20));
  EXPECT_EQ(b.Count("taken-over"), 1);
}

TEST(EtcdElectionFaultsTest, ABrokerThatComesUpAgainDoesNotWaitForItsOwnLease) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  CampaignNews news;
  Campaigner before(cluster.Client(settings), Broker("a"), &news, kLongLease);
  before.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return before.epoch() == 1; }));
  before.Vanish();
  Campaigner after(cluster.Client(settings), Broker("a"), &news, kLongLease);
  after.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return after.epoch() == 2; }));
  EXPECT_THAT(news.all(), ElementsAre("a elected 1", "a elected 2"));
}

TEST(EtcdElectionFaultsTest, ALeaderWhoseKeyIsGoneStepsDownAtOnce) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  CampaignNews news;
  Campaigner a(cluster.Client(settings), Broker("a"), &news);
  a.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return a.epoch() == 1; }));
  // The lease lives on, but the claim does not: 3.4 may renew a lease that it has revoked.
  cluster.Ctl({"del", settings.prefix + "leader"});
  ASSERT_TRUE(Campaigner::Until([&] { return a.epoch() == 2; }));
  EXPECT_THAT(news.all(), ElementsAre("a elected 1", "a lost", "a elected 2"));
}

TEST(EtcdElectionFaultsTest, ANewerLayoutIsNeverClaimed) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  cluster.Ctl({"put", settings.prefix + "schema", "2"});
  Campaigner a(cluster.Client(settings), Broker("a"));
  a.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return a.Count("claim-failed") >= 2; }));
  EXPECT_EQ(cluster.Ctl({"get", settings.prefix, "--prefix", "--keys-only"}),
            settings.prefix + "schema\n\n");
}

// --- three members ---

class ThreeMembersTest : public ::testing::Test {
 protected:
  EtcdCluster cluster_{{.members = 3, .arguments = {}}};
  const EtcdSettings settings_ = cluster_.Settings();
  CampaignNews news_;
  Campaigner a_{cluster_.Client(settings_), Broker("a"), &news_};
  Campaigner b_{cluster_.Client(settings_), Broker("b"), &news_};
};

// The lease that brokers have by default, which outlasts an election among the members.
constexpr absl::Duration kBrokerLease = absl::Seconds(5);

TEST_F(ThreeMembersTest, CommitsGoOnWhenTheMemberThatLeadsEtcdStops) {
  Campaigner leader(cluster_.Client(settings_), Broker("l"), &news_, kBrokerLease);
  leader.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return leader.epoch() == 1; }));
  LoopExecutor executor("test");
  EtcdStore store({}, leader.client(), &executor);
  StoreClient client(&store, &executor);
  for (uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(client.Commit(1, {PutDesktop("d", 10 * i), AppendAudit(10 * i, "x")}).ok());
    const int member = cluster_.Leader();
    cluster_.process(member).Signal(SIGSTOP);
    // No outcome stays open: whichever member answers knows of the commit.
    const absl::Status status =
        client.Commit(1, {PutDesktop("d", 10 * i + 1), AppendAudit(10 * i + 1, "x")});
    EXPECT_TRUE(status.ok()) << status;
    cluster_.process(member).Signal(SIGCONT);
    const auto fleet = client.Load(1);
    ASSERT_TRUE(fleet.ok()) << fleet.status();
    EXPECT_EQ(fleet->desktops.Find("d")->generation(), 10 * i + 1);
    EXPECT_EQ(fleet->audit_sequence, 10 * i + 1);
    const int renewed = leader.Count("renewed");
    ASSERT_TRUE(Campaigner::Until([&] { return leader.Count("renewed") > renewed; }));
  }
  EXPECT_THAT(news_.all(), ElementsAre("l elected 1"));
}

TEST_F(ThreeMembersTest, WithoutAMajorityNobodyLeadsAndNothingIsForgotten) {
  a_.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return a_.epoch() == 1; }));
  b_.Start();
  LoopExecutor executor("test");
  EtcdStoreSettings settings;
  settings.commit_limit = absl::Seconds(1);
  EtcdStore store(settings, a_.client(), &executor);
  StoreClient client(&store, &executor);
  ASSERT_TRUE(client.Commit(1, {PutDesktop("kept", 1)}).ok());
  for (int member : {0, 1}) cluster_.process(member).Signal(SIGSTOP);
  const absl::Status open = client.Commit(1, {PutDesktop("open", 1)});
  EXPECT_TRUE(absl::IsUnknown(open)) << open;
  ASSERT_TRUE(Campaigner::Until([&] { return a_.epoch() == 0; }));
  EXPECT_THAT(news_.all(), ElementsAre("a elected 1", "a lost"));
  for (int member : {0, 1}) cluster_.process(member).Signal(SIGCONT);
  ASSERT_TRUE(Campaigner::Until([&] { return a_.epoch() + b_.epoch() >= 2; }));
  const uint64_t epoch = std::max(a_.epoch(), b_.epoch());
  const auto fleet = client.Load(epoch);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_NE(fleet->desktops.Find("kept"), nullptr);
  EXPECT_EQ(client.Commit(1, {PutDesktop("late", 1)}).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ThreeMembersTest, AMemberThatDiesIsNotMissed) {
  Campaigner leader(cluster_.Client(settings_), Broker("l"), &news_, kBrokerLease);
  leader.Start();
  ASSERT_TRUE(Campaigner::Until([&] { return leader.epoch() == 1; }));
  LoopExecutor executor("test");
  EtcdStore store({}, leader.client(), &executor);
  StoreClient client(&store, &executor);
  for (int member = 0; member < 3; ++member) {
    cluster_.Kill(member);
    const std::string id = "d" + std::to_string(member);
    const absl::Status status = client.Commit(1, {PutDesktop(id, 1)});
    EXPECT_TRUE(status.ok()) << status;
    cluster_.Restart(member);
    cluster_.WaitUntilReady();
    const int renewed = leader.Count("renewed");
    ASSERT_TRUE(Campaigner::Until([&] { return leader.Count("renewed") > renewed; }));
  }
  const auto fleet = client.Load(1);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->desktops.size(), 3u);
  EXPECT_THAT(news_.all(), ElementsAre("l elected 1"));
}

}  // namespace
}  // namespace werkplek
