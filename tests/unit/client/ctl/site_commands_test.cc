#include "client/ctl/site_commands.h"

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class SiteCommandsTest : public CtlTest {};

TEST_F(SiteCommandsTest, ListsSitesAndSaysWhatToDoAboutALoss) {
  v1::ListSitesResponse sites;
  v1::SiteStatus* braked = sites.add_sites();
  braked->set_site("noord");
  braked->set_loss("braked");
  braked->set_reason("6 of 6 hosts silent for 10s, but 10 of all 12 hosts are gone");
  braked->set_since_unix_ms(1'700'000'000'000);
  braked->set_hosts(6);
  v1::SiteStatus* returned = sites.add_sites();
  returned->set_site("zuid");
  returned->set_loss("returned");
  returned->set_hosts(6);
  returned->set_hosts_up(5);
  returned->set_would_wait(17);
  broker_.Reply("ListSites", sites);
  const Result result = Run({"site", "list"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("0/6"), HasSubstr("5/6"), HasSubstr("17"),
                                HasSubstr("noord is braked: 6 of 6 hosts silent"),
                                HasSubstr("werkplekctl site confirm-loss noord --reason TEXT"),
                                HasSubstr("werkplekctl site readmit zuid")));
  broker_.Reply("ListSites", v1::ListSitesResponse());
  EXPECT_EQ(Run({"site", "list"}).out, "There is no site yet.\n");
}

TEST_F(SiteCommandsTest, ConfirmsALossAfterAskingWithItsReason) {
  v1::SiteStatus site;
  site.set_site("noord");
  broker_.Reply("ConfirmSiteLoss", site);
  EXPECT_EQ(Run({"site", "confirm-loss", "noord", "--yes"}).code, ExitCode::kUsage);
  EXPECT_NE(Run({"site", "confirm-loss", "noord", "--reason", "fire"}).code, ExitCode::kOk);
  EXPECT_TRUE(broker_.Methods().empty());
  const Result result = RunAsked({"site", "confirm-loss", "noord", "--reason", "fire"},
                                 {{"Give up every session", "y\n"}});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.out;
  EXPECT_THAT(result.out, HasSubstr("Site noord is lost"));
  const auto sent = broker_.Requests<v1::ConfirmSiteLossRequest>("ConfirmSiteLoss").at(0);
  EXPECT_EQ(sent.site(), "noord");
  EXPECT_EQ(sent.reason(), "fire");
  EXPECT_NE(sent.request_id(), "");
}

TEST_F(SiteCommandsTest, ReadmitsASite) {
  v1::SiteStatus site;
  site.set_site("noord");
  broker_.Reply("ReadmitSite", site);
  EXPECT_EQ(Run({"site", "readmit", "noord"}).out, "Site noord takes work again.\n");
  const auto sent = broker_.Requests<v1::ReadmitSiteRequest>("ReadmitSite").at(0);
  EXPECT_EQ(sent.site(), "noord");
  EXPECT_NE(sent.request_id(), "");
}

TEST_F(SiteCommandsTest, RebalancesAfterAskingAndSaysWhatMovesWhy) {
  v1::RebalanceResponse plan;
  v1::Move* move = plan.add_moves();
  move->set_desktop("kantoor-7f3a");
  move->set_from("hv-a1");
  move->set_to("hv-a2");
  move->set_how("live");
  move->set_reason("hv-a1 at 50 %, hv-a2 at 6 %");
  plan.set_reason("its hosts are even");
  broker_.Reply("Rebalance", plan);
  EXPECT_NE(Run({"rebalance", "noord"}).code, ExitCode::kOk);
  EXPECT_TRUE(broker_.Methods().empty());
  const Result asked =
      RunAsked({"rebalance", "noord"}, {{"A display that is open closes for a moment", "y\n"}});
  EXPECT_EQ(asked.code, ExitCode::kOk) << asked.out;
  EXPECT_THAT(asked.out,
              AllOf(HasSubstr("kantoor-7f3a"), HasSubstr("hv-a2"), HasSubstr("live"),
                    HasSubstr("Then: its hosts are even."), HasSubstr("moved a few at a time")));
  const Result dry = Run({"rebalance", "noord", "--dry-run"});
  EXPECT_EQ(dry.code, ExitCode::kOk) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("Nothing was moved."));
  const auto sent = broker_.Requests<v1::RebalanceRequest>("Rebalance");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].site(), "noord");
  EXPECT_FALSE(sent[0].dry_run());
  EXPECT_NE(sent[0].request_id(), "");
  EXPECT_TRUE(sent[1].dry_run());
  EXPECT_EQ(Run({"rebalance"}).code, ExitCode::kUsage);
}

TEST_F(SiteCommandsTest, RehearsesALossOverAllPages) {
  v1::RehearseSiteLossResponse first;
  first.set_fit(1);
  first.set_wait(1);
  first.set_all_ready_after_s(42);
  first.set_more(true);
  v1::RehearsedPerson* jan = first.add_people();
  jan->set_order(1);
  jan->set_user("jan");
  jan->set_pool("balie");
  jan->set_host("hv-b1");
  jan->set_ready_after_s(42);
  v1::RehearseSiteLossResponse second = first;
  second.set_more(false);
  second.clear_people();
  v1::RehearsedPerson* els = second.add_people();
  els->set_order(2);
  els->set_user("els");
  els->set_pool("archief");
  els->set_ready_after_s(-1);
  els->set_reason("no room");
  broker_.Once("RehearseSiteLoss", FakeBroker::Says(first));
  broker_.Once("RehearseSiteLoss", FakeBroker::Says(second));
  const Result result = Run({"failover", "--dry-run", "noord"});
  EXPECT_EQ(result.code, ExitCode::kOk) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("hv-b1"), HasSubstr("42 s"), HasSubstr("waits"), HasSubstr("no room"),
                    HasSubstr("1 would get a desktop, 1 would wait")));
  const auto sent = broker_.Requests<v1::RehearseSiteLossRequest>("RehearseSiteLoss");
  ASSERT_EQ(sent.size(), 2u);
  EXPECT_EQ(sent[0].site(), "noord");
  EXPECT_EQ(sent[1].skip(), 1u);
  EXPECT_EQ(Run({"failover", "noord"}).code, ExitCode::kUsage);
}

}  // namespace
}  // namespace werkplek
