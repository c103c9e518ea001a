#include "broker/core/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

class HostsTest : public Municipality {
 protected:
  v1::Liveness Liveness(const std::string& host = "hv-a1") {
    return driver_.fleet().host_soft.Find(host)->liveness;
  }
  // A second host, so that there is somewhere to go.
  void Second() {
    driver_.Create(MakeHost("hv-a2"));
    driver_.AddHost("hv-a2");
    driver_.Advance(absl::Seconds(2));
  }
};

TEST_F(HostsTest, SilenceMakesSuspectThenDown) {
  Open(1, 4, 1);
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  Host().silent = true;
  driver_.ReportAll();
  driver_.Advance(absl::Milliseconds(2000));
  EXPECT_EQ(Liveness(), v1::LIVENESS_UP);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Liveness(), v1::LIVENESS_SUSPECT);
  driver_.Advance(absl::Seconds(8));
  EXPECT_EQ(Liveness(), v1::LIVENESS_DOWN);
  EXPECT_EQ(driver_.audit().back().action(), "host-down");
}

TEST_F(HostsTest, ANewLeaderCountsAnew) {
  Open(1, 4, 1);
  Come("jan");
  Host().silent = true;
  driver_.Advance(absl::Seconds(9));
  driver_.Restart();
  driver_.Advance(absl::Seconds(9));
  EXPECT_EQ(Liveness(), v1::LIVENESS_SUSPECT);
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Liveness(), v1::LIVENESS_DOWN);
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
}

TEST_F(HostsTest, ADesktopThatIsLostBeforeItIsReadyTakesItsTicketAlong) {
  Open(1, 4, 1);
  Second();
  // The commands for the session do not arrive.
  const std::string host = driver_.fleet().desktops.begin()->record->host();
  Host(host).stuck = true;
  const CallId jan = Come("jan");
  ASSERT_EQ(driver_.DesktopOf("jan")->host(), host);
  ASSERT_FALSE(driver_.Last(jan).has_ready());
  driver_.Advance(absl::Seconds(2));
  Host(host).silent = true;
  driver_.Advance(absl::Seconds(15));
  ASSERT_TRUE(driver_.Last(jan).has_ready()) << driver_.Last(jan).ShortDebugString();
  EXPECT_NE(driver_.DesktopOf("jan")->host(), host);
  // The call's first ticket may be armed on the host that was lost.
  const std::string ticket = driver_.Last(jan).ready().ticket();
  EXPECT_NE(ticket, absl::StrCat("ticket-", jan));
  EXPECT_EQ(ticket.size(), 43u);
  const auto granted = driver_.Commands(v1::COMMAND_GRANT_TICKET);
  ASSERT_FALSE(granted.empty());
  EXPECT_EQ(granted.back().ticket().ticket_sha256(), Sha256(ticket));
}

TEST_F(HostsTest, ALostHostEndsItsSessionsAndPeopleGetAnother) {
  Open(1, 4, 1);
  Second();
  Come("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  const std::string desktop = driver_.DesktopOf("jan")->id();
  const std::string host = driver_.DesktopOf("jan")->host();
  Host(host).silent = true;
  driver_.Advance(absl::Seconds(11));
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(session).end_reason(), "host lost");
  EXPECT_EQ(Desktop(desktop).state(), v1::DESKTOP_STATE_LOST);
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(again).has_ready());
  EXPECT_NE(driver_.DesktopOf("jan")->host(), host);
  // It returns, still running what it ran: that is made fresh or removed, never taken as it is.
  const uint64_t generation = Desktop(desktop).generation();
  Host(host).silent = false;
  driver_.Forget();
  driver_.Advance(absl::Seconds(3));
  const v1::Desktop* returned = driver_.fleet().desktops.Find(desktop);
  if (returned != nullptr) {
    EXPECT_GT(returned->generation(), generation);
    EXPECT_EQ(driver_.Commands(v1::COMMAND_RESET).size(), 1u);
  } else {
    EXPECT_EQ(driver_.Commands(v1::COMMAND_REMOVE).size(), 1u);
  }
}

TEST_F(HostsTest, WhoWaitsForADisplayOnALostHostGetsAnother) {
  Open(1, 4, 1);
  Second();
  Host("hv-a1").stuck = Host("hv-a2").stuck = true;
  const CallId call = Come("jan");
  const std::string host = driver_.DesktopOf("jan")->host();
  const std::string other = host == "hv-a1" ? "hv-a2" : "hv-a1";
  Host(host).silent = true;
  Host(other).stuck = false;
  driver_.Advance(absl::Seconds(15));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_EQ(driver_.Last(call).ready().host(), other);
}

TEST_F(HostsTest, DesktopsNobodyKnowsAreRemoved) {
  Open(1, 4, 1);
  v1::DesktopReport* stray = Host().report().add_desktops();
  stray->set_desktop("kantoor-00000000");
  stray->set_generation(3);
  driver_.Forget();
  driver_.ReportAll();
  const auto removes = driver_.Commands(v1::COMMAND_REMOVE);
  ASSERT_EQ(removes.size(), 1u);
  EXPECT_EQ(removes[0].desktop(), "kantoor-00000000");
  EXPECT_EQ(removes[0].generation(), 3u);
  EXPECT_EQ(Host().Find("kantoor-00000000"), nullptr);
}

TEST_F(HostsTest, NothingIsConcludedBeforeTheAgentHasAdopted) {
  Open(2, 4, 2);
  Come("jan");
  v1::AgentReport full = Host().report();
  Host().report().set_agent_run("run-2");
  Host().report().set_adopted(false);
  Host().report().clear_desktops();
  driver_.Forget();
  driver_.ReportAll();
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_RESET).empty());
  *Host().report().mutable_desktops() = full.desktops();
  Host().report().set_adopted(true);
  driver_.Advance(absl::Seconds(3));
  EXPECT_NE(driver_.SessionOf("jan"), nullptr);
}

TEST_F(HostsTest, OldAndForeignReportsAreNotHeard) {
  Open(1, 4, 1);
  const auto good = Host().Report();
  driver_.Apply(AgentReported{"hv-a1", Host().link, good});
  driver_.Forget();
  driver_.Apply(AgentReported{"hv-a1", Host().link, good});  // Twice.
  EXPECT_EQ(driver_.Counted("stale_reports", "sequence"), 1u);
  driver_.Apply(AgentReported{"hv-a1", Host().link + 100, Host().Report()});
  EXPECT_EQ(driver_.Counted("stale_reports", "link"), 1u);
  auto other = std::make_shared<v1::AgentReport>(*Host().Report());
  other->set_host("hv-b1");
  driver_.Apply(AgentReported{"hv-a1", Host().link, other});
  EXPECT_EQ(driver_.Counted("stale_reports", "link"), 2u);
  auto newer = std::make_shared<v1::AgentReport>(*Host().Report());
  newer->set_seen_epoch(99);
  driver_.Apply(AgentReported{"hv-a1", Host().link, newer});
  EXPECT_EQ(driver_.Counted("stale_reports", "epoch"), 1u);
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_HEARD).empty());
  driver_.Apply(AgentReported{"nowhere", 1, Host().Report()});
  driver_.Apply(AgentAttached{"nowhere", 1});
  EXPECT_TRUE(driver_.Logged("unknown-host", "host", "nowhere"));
}

TEST_F(HostsTest, EachSecondReportIsTold) {
  Open(1, 4, 1);
  driver_.Advance(absl::Seconds(3));
  driver_.Forget();
  driver_.Advance(absl::Seconds(2));
  const auto heard = driver_.Commands(v1::COMMAND_HEARD);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].epoch(), 1u);
  EXPECT_GE(heard[0].heard_sequence() + 1, Host().report().sequence());
  EXPECT_EQ(heard[0].report_interval_ms(), 1000u);
  driver_.Advance(absl::Seconds(6));
  EXPECT_EQ(driver_.Commands(v1::COMMAND_HEARD).size(), 4u);
}

TEST_F(HostsTest, ANewStreamIsToldAtOnce) {
  Open(1, 4, 1);
  for (int stream = 0; stream < 3; ++stream) {
    driver_.Apply(AgentAttached{"hv-a1", ++Host().link});
    driver_.Forget();
    driver_.ReportAll();
    EXPECT_EQ(driver_.Commands(v1::COMMAND_HEARD).size(), 1u);
  }
}

TEST_F(HostsTest, EachReportIsToldWhenTheFenceIsShort) {
  BrokerSettings settings;
  settings.fence_after = absl::Seconds(4);
  Driver driver(settings);
  driver.Create(MakeSite("a"));
  driver.Create(MakeHost("hv-a1"));
  driver.AddHost("hv-a1");
  driver.Advance(absl::Seconds(3));
  driver.Forget();
  driver.Advance(absl::Seconds(5));
  EXPECT_EQ(driver.Commands(v1::COMMAND_HEARD).size(), 5u);
}

TEST_F(HostsTest, CommandsOfANewLeaderCarryItsEpoch) {
  Open(1, 4, 1);
  driver_.Restart();
  driver_.Forget();
  driver_.Advance(absl::Seconds(2));
  Come("jan");
  for (const Effect& effect : driver_.effects()) {
    if (const auto* sent = std::get_if<SendCommand>(&effect)) {
      EXPECT_EQ(sent->command.epoch(), 2u);
    }
  }
  EXPECT_FALSE(driver_.Commands(v1::COMMAND_BEGIN_SESSION).empty());
}

TEST_F(HostsTest, ALostCommandCostsOneInterval) {
  Open(0, 4, 0);
  int lost = 0;
  driver_.lose_command = [&] { return ++lost == 1; };
  const CallId call = Come("jan");
  EXPECT_FALSE(driver_.Last(call).has_ready());
  driver_.Advance(absl::Milliseconds(2250));
  EXPECT_TRUE(driver_.Last(call).has_ready());
}

TEST_F(HostsTest, CommandsAreNotRepeatedWithinAHeartbeat) {
  Open(0, 4, 0);
  Host().stuck = true;
  Come("jan");
  driver_.Forget();
  for (int i = 0; i < 5; ++i) driver_.ReportAll();
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_START).empty());
  driver_.now += absl::Seconds(1);
  driver_.ReportAll();
  EXPECT_EQ(driver_.Commands(v1::COMMAND_START).size(), 1u);
}

TEST_F(HostsTest, AHostWhoseStreamEndedGetsNoNewWork) {
  Open(1, 4, 1);
  Host().silent = true;
  driver_.Apply(AgentDetached{"hv-a1", Host().link + 1});  // An older stream's end.
  EXPECT_NE(driver_.fleet().host_soft.Find("hv-a1")->link, 0u);
  driver_.Apply(AgentDetached{"hv-a1", Host().link});
  const CallId call = Come("jan");
  ASSERT_TRUE(driver_.Last(call).has_queued());
  EXPECT_EQ(driver_.Last(call).queued().explanation().hosts(0).rejected_by(), "host-up");
  Host().silent = false;
  driver_.Apply(AgentAttached{"hv-a1", Host().link});
  driver_.Advance(absl::Seconds(2));
  EXPECT_TRUE(driver_.Last(call).has_ready());
}

TEST_F(HostsTest, ASpareThatIsGoneOrOffIsMadeAgain) {
  Open(1, 1, 1);
  const std::string id = driver_.fleet().desktops.begin()->key;
  Host().report().clear_desktops();
  driver_.ReportAll();
  EXPECT_EQ(Desktop(id).generation(), 2u);
  driver_.Advance(absl::Seconds(1));
  EXPECT_EQ(Desktop(id).state(), v1::DESKTOP_STATE_READY);
  // Off: it was never used, so its own clean disk may be started again.
  Host().Find(id)->set_power(v1::POWER_OFF);
  driver_.ReportAll();
  driver_.Advance(absl::Seconds(1));
  EXPECT_EQ(Desktop(id).state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Desktop(id).generation(), 2u);
}

TEST_F(HostsTest, AStoreThatWentBackInTimeCatchesUp) {
  Open(2, 4, 1);
  Come("jan");
  const std::string id = driver_.DesktopOf("jan")->id();
  Report("jan")->set_generation(40);
  driver_.ReportAll();
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Desktop(id).generation(), 41u);
  EXPECT_TRUE(driver_.Logged("generation-ahead", "reported", "40"));
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Desktop(id).state(), v1::DESKTOP_STATE_READY);
  // A number that no honest agent reaches is not followed.
  Host().Find(id)->set_generation(~uint64_t{0});
  driver_.ReportAll();
  EXPECT_EQ(Desktop(id).generation(), 41u);
}

TEST_F(HostsTest, AStoreThatWentBackInTimeGivesNobodyADesktopThatIsInUse) {
  Open(1, 1, 1);
  const Fleet backup = driver_.stored();
  Come("jan");
  driver_.Advance(absl::Seconds(2));
  const std::string id = driver_.DesktopOf("jan")->id();
  const uint64_t generation = driver_.DesktopOf("jan")->generation();
  const v1::DesktopReport in_use = *Report("jan");
  ASSERT_TRUE(in_use.used());
  // The store is that of before; the host is as it was left.
  driver_ = Driver({}, backup);
  FakeHost& host = driver_.hosts.emplace("hv-a1", FakeHost("hv-a1")).first->second;
  *host.report().add_desktops() = in_use;
  driver_.AddHost("hv-a1");
  EXPECT_TRUE(driver_.Logged("desktop-spoiled", "why", "its host says that somebody has used it"));
  const CallId els = Come("els");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(els).has_ready()) << driver_.Last(els).ShortDebugString();
  EXPECT_EQ(driver_.DesktopOf("els")->id(), id);
  EXPECT_GT(driver_.DesktopOf("els")->generation(), generation) << "made fresh in between";
}

TEST_F(HostsTest, AUsedSpareThatIsOffIsNotJustStarted) {
  Open(1, 1, 1);
  const std::string id = driver_.fleet().desktops.begin()->key;
  Host().Find(id)->set_power(v1::POWER_OFF);
  Host().Find(id)->set_used(true);
  driver_.Forget();
  driver_.ReportAll();
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_START).empty());
  EXPECT_EQ(driver_.Commands(v1::COMMAND_RESET).size(), 1u);
}

TEST_F(HostsTest, ADrainedHostIsEmptiedButForItsSessions) {
  Open(3, 6, 3);
  Second();
  driver_.Advance(absl::Seconds(5));
  Come("jan");
  const std::string host = driver_.DesktopOf("jan")->host();
  const std::string session = driver_.SessionOf("jan")->id();
  SetSchedulability(v1::RESOURCE_KIND_HOST, host, v1::SCHEDULABILITY_DRAINING);
  driver_.Advance(absl::Seconds(10));
  for (const auto& entry : driver_.fleet().desktops) {
    if (entry.record->host() == host) {
      EXPECT_EQ(entry.record->session(), session) << entry.record->ShortDebugString();
    }
  }
  EXPECT_GE(driver_.Desktops(v1::DESKTOP_STATE_READY), 3);  // Replaced elsewhere.
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Host(host).report().desktops_size(), 0);
  v1::DeleteResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_HOST);
  request.set_name(host);
  EXPECT_TRUE(driver_.Call(driver_.Admin(), request).ok());
}

TEST_F(HostsTest, AHostInMaintenanceIsLeftAlone) {
  Open(2, 4, 2);
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_MAINTENANCE);
  driver_.Forget();
  driver_.Advance(absl::Seconds(10));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_REMOVE).empty());
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  EXPECT_TRUE(driver_.Last(Come("jan")).has_queued());
}

TEST_F(HostsTest, NothingIsBegunOnAHostInMaintenance) {
  Open(3, 8, 3);
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_MAINTENANCE);
  Second();
  driver_.Advance(absl::Seconds(3));
  driver_.Forget();
  // A session ends, and a spare is switched off.
  const std::string used = driver_.DesktopOf("jan")->id();
  ASSERT_TRUE(End("jan").ok());
  std::string off;
  for (const auto& entry : driver_.fleet().desktops) {
    if (entry.record->host() == "hv-a1" && entry.record->state() == v1::DESKTOP_STATE_READY) {
      off = entry.key;
    }
  }
  Host().Find(off)->set_power(v1::POWER_OFF);
  driver_.Advance(absl::Seconds(10));
  for (const Effect& effect : driver_.effects()) {
    const auto* sent = std::get_if<SendCommand>(&effect);
    if (sent == nullptr || sent->host != "hv-a1") continue;
    EXPECT_TRUE(sent->command.verb() == v1::COMMAND_HEARD ||
                sent->command.verb() == v1::COMMAND_FETCH_IMAGE ||
                sent->command.verb() == v1::COMMAND_END_SESSION)
        << sent->command.ShortDebugString();
  }
  EXPECT_EQ(Desktop(used).state(), v1::DESKTOP_STATE_DIRTY);
  EXPECT_EQ(Desktop(off).state(), v1::DESKTOP_STATE_DIRTY);
  // What the pool wants is made elsewhere meanwhile.
  int elsewhere = 0;
  for (const auto& entry : driver_.fleet().desktops) {
    const bool ready = entry.record->state() == v1::DESKTOP_STATE_READY;
    elsewhere += ready && entry.record->host() == "hv-a2" ? 1 : 0;
  }
  EXPECT_EQ(elsewhere, 3);
  // Open again, it is cleaned up.
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_OPEN);
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_DIRTY), 0);
}

TEST_F(HostsTest, ADeadHostIsDeletedWithWhatItLeftBehind) {
  Open(2, 4, 2);
  Host().silent = true;
  v1::DeleteResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_HOST);
  request.set_name("hv-a1");
  EXPECT_TRUE(absl::IsFailedPrecondition(driver_.Call(driver_.Admin(), request).status()));
  driver_.Advance(absl::Seconds(12));
  EXPECT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_TRUE(driver_.fleet().desktops.empty());
  EXPECT_TRUE(driver_.stored().desktops.empty());
  EXPECT_EQ(driver_.fleet().host_soft.Find("hv-a1"), nullptr);
}

TEST_F(HostsTest, ImagesAreFetchedAheadAndDroppedWhenUndeclared) {
  Open(0, 4, 0);
  driver_.Forget();
  driver_.Advance(absl::Seconds(12));
  ASSERT_FALSE(driver_.Commands(v1::COMMAND_FETCH_IMAGE).empty());
  EXPECT_EQ(driver_.Commands(v1::COMMAND_FETCH_IMAGE)[0].image_name(), "tiny");
  v1::ImageReport* there = Host().report().add_images();
  there->set_image("tiny");
  there->set_sha256(std::string(64, 'a'));
  there->set_verified(true);
  v1::ImageReport* old = Host().report().add_images();
  old->set_image("old");
  old->set_sha256(std::string(64, 'e'));
  old->set_verified(true);
  driver_.ReportAll();
  driver_.Forget();
  driver_.Advance(absl::Seconds(12));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_FETCH_IMAGE).empty());
  ASSERT_FALSE(driver_.Commands(v1::COMMAND_DROP_IMAGE).empty());
  EXPECT_EQ(driver_.Commands(v1::COMMAND_DROP_IMAGE)[0].image_name(), "old");
  EXPECT_EQ(driver_.Commands(v1::COMMAND_DROP_IMAGE)[0].image().sha256(), std::string(64, 'e'));
}

TEST_F(HostsTest, UnsortedReportsAreReadAllTheSame) {
  Open(3, 6, 3);
  auto& desktops = *Host().report().mutable_desktops();
  desktops.SwapElements(0, 2);
  driver_.Forget();
  driver_.ReportAll();
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 3);
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_RESET).empty());
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_REMOVE).empty());
}

}  // namespace
}  // namespace werkplek
