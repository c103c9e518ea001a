#include "broker/program/broker_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "tests/unit/broker/program/scrape.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class BrokerMetricsTest : public testing::Test {
 protected:
  // One server for all: it takes two seconds to end.
  static void SetUpTestSuite() {
    metrics_ = new Metrics;
    ASSERT_TRUE(metrics_->Serve("127.0.0.1:0").ok());
  }
  static void TearDownTestSuite() { delete metrics_; }
  std::string Scrape() { return ScrapeMetrics(metrics_->port()); }

  static Metrics* metrics_;
  BrokerMetrics broker_{metrics_};
};

Metrics* BrokerMetricsTest::metrics_ = nullptr;

TEST_F(BrokerMetricsTest, StagesAndCountsHaveTheirNames) {
  for (const char* stage :
       {"directory", "token", "placement", "prepare", "display", "queue", "start", "commit"}) {
    broker_.Observe(StageTook{stage, absl::Milliseconds(3)});
  }
  broker_.Observe(Counted{"sign_ins", "denied"});
  broker_.Observe(Counted{"sign_ins", "denied"});
  broker_.Observe(Counted{"rejected_transitions", "session"});
  broker_.Observe(Counted{"moves", "begun"});
  broker_.Count("rpc_refused", "PERMISSION_DENIED");
  const std::string text = Scrape();
  for (const char* stage :
       {"directory", "token", "placement", "prepare", "display", "queue", "start", "commit"}) {
    EXPECT_THAT(text,
                HasSubstr("werkplek_stage_seconds_count{stage=\"" + std::string(stage) + "\"} 1"));
  }
  EXPECT_THAT(text, HasSubstr("werkplek_sign_ins_total{outcome=\"denied\"} 2"));
  EXPECT_THAT(text, HasSubstr("werkplek_moves_total{outcome=\"begun\"} 1"));
  EXPECT_THAT(text, HasSubstr("werkplek_rejected_transitions_total{machine=\"session\"} 1"));
  EXPECT_THAT(text, HasSubstr("werkplek_rpc_refused_total{code=\"PERMISSION_DENIED\"} 1"));
}

TEST_F(BrokerMetricsTest, TheFleetIsCountedByPoolAndState) {
  Fleet fleet;
  auto pool = std::make_shared<v1::Resource>();
  pool->mutable_pool();
  fleet.pools.Put("kantoor", pool);
  auto soft = std::make_shared<PoolSoft>();
  soft->waiting = 3;
  soft->breaker = "five starts failed";
  fleet.pool_soft.Put("kantoor", soft);
  for (int i = 0; i < 2; ++i) {
    auto desktop = std::make_shared<v1::Desktop>();
    desktop->set_pool("kantoor");
    desktop->set_state(v1::DESKTOP_STATE_READY);
    if (i == 1) desktop->set_moving_to("hv-a2");
    fleet.desktops.Put("d" + std::to_string(i), desktop);
  }
  auto session = std::make_shared<v1::Session>();
  session->set_state(v1::SESSION_STATE_ACTIVE);
  fleet.sessions.Put("s", session);
  for (const auto& [host, liveness] :
       std::map<std::string, v1::Liveness>{{"hv-1", v1::LIVENESS_UP},
                                           {"hv-2", v1::LIVENESS_UP},
                                           {"hv-3", v1::LIVENESS_DOWN},
                                           {"hv-4", v1::LIVENESS_UNSPECIFIED}}) {
    auto known = std::make_shared<HostSoft>();
    known->liveness = liveness;
    fleet.host_soft.Put(host, known);
  }
  broker_.ReadFleet(&fleet);
  broker_.SetAgentsConnected(4);
  broker_.SetSelfProbe(true);
  broker_.SetClockGood(false);
  EXPECT_THAT(
      Scrape(),
      AllOf(HasSubstr("werkplek_leading 1"),
            HasSubstr("werkplek_desktops{pool=\"kantoor\",state=\"ready\"} 2"),
            HasSubstr("werkplek_desktops{pool=\"kantoor\",state=\"error\"} 0"),
            HasSubstr("werkplek_clock_good 0"), HasSubstr("werkplek_hosts{liveness=\"up\"} 2"),
            HasSubstr("werkplek_hosts{liveness=\"suspect\"} 0"),
            HasSubstr("werkplek_hosts{liveness=\"down\"} 1"),
            HasSubstr("werkplek_desktops_moving 1"),
            HasSubstr("werkplek_waiting{pool=\"kantoor\"} 3"),
            HasSubstr("werkplek_pool_broken{pool=\"kantoor\"} 1"),
            HasSubstr("werkplek_sessions{state=\"active\"} 1"),
            HasSubstr("werkplek_sessions{state=\"pending\"} 0"),
            HasSubstr("werkplek_agents_connected 4"), HasSubstr("werkplek_self_probe 1")));
}

TEST_F(BrokerMetricsTest, APoolThatIsGoneFallsToZero) {
  Fleet fleet;
  fleet.pools.Put("kantoor", std::make_shared<v1::Resource>());
  auto soft = std::make_shared<PoolSoft>();
  soft->waiting = 3;
  fleet.pool_soft.Put("kantoor", soft);
  broker_.ReadFleet(&fleet);
  const Fleet empty;
  broker_.ReadFleet(&empty);
  EXPECT_THAT(Scrape(), HasSubstr("werkplek_waiting{pool=\"kantoor\"} 0"));
}

TEST_F(BrokerMetricsTest, WhoDoesNotLeadTellsNothingOfTheFleet) {
  Fleet fleet;
  fleet.pools.Put("kantoor", std::make_shared<v1::Resource>());
  fleet.sites.Put("a", std::make_shared<v1::Resource>());
  broker_.ReadFleet(&fleet);
  const auto figures = AllOf(HasSubstr("werkplek_desktops{"), HasSubstr("werkplek_desktops_moving"),
                             HasSubstr("werkplek_hosts{"), HasSubstr("werkplek_pool_broken{"),
                             HasSubstr("werkplek_sessions{"), HasSubstr("werkplek_sign_ins "),
                             HasSubstr("werkplek_site_loss_would_wait{site=\"a\"}"),
                             HasSubstr("werkplek_waiting{pool=\"kantoor\"}"));
  EXPECT_THAT(Scrape(), AllOf(HasSubstr("werkplek_leading 1"), figures));
  broker_.ReadFleet(nullptr);
  EXPECT_THAT(
      Scrape(),
      AllOf(HasSubstr("werkplek_leading 0"), Not(HasSubstr("werkplek_desktops")),
            Not(HasSubstr("werkplek_hosts")), Not(HasSubstr("werkplek_pool_broken")),
            Not(HasSubstr("werkplek_sessions")), Not(HasSubstr("werkplek_sign_ins ")),
            Not(HasSubstr("werkplek_site_loss_would_wait")), Not(HasSubstr("werkplek_waiting"))));
  // It leads again: everything is there at once.
  broker_.ReadFleet(&fleet);
  EXPECT_THAT(Scrape(), figures);
}

}  // namespace
}  // namespace werkplek
