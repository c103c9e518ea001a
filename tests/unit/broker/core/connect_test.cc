#include "broker/core/connect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::HasSubstr;

class ConnectTest : public Municipality {
 protected:
  // The refusal, which can be explained.
  v1::Refused Refused(CallId call) {
    const v1::ConnectUpdate last = driver_.Last(call);
    EXPECT_TRUE(last.has_refused()) << last.ShortDebugString();
    EXPECT_TRUE(driver_.Failure(call).ok());
    const Refusal* refusal = driver_.fleet().refusals.Find(last.refused().explain_id());
    EXPECT_NE(refusal, nullptr);
    if (refusal != nullptr) {
      EXPECT_EQ(refusal->explanation.decision(), "refused: " + last.refused().rule());
    }
    EXPECT_EQ(driver_.audit().back().action(), "assign");
    EXPECT_EQ(driver_.audit().back().result(), last.refused().rule());
    return last.refused();
  }
};

TEST_F(ConnectTest, ARunningSpareIsGivenWithItsTicket) {
  Open(2, 4, 2);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
  const CallId call = Come("jan");
  const v1::ConnectUpdate last = driver_.Last(call);
  ASSERT_TRUE(last.has_ready()) << last.ShortDebugString();
  EXPECT_TRUE(driver_.Failure(call).ok());
  const v1::Session* session = driver_.SessionOf("jan");
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(last.ready().session(), session->id());
  EXPECT_EQ(last.ready().ticket(), absl::StrCat("ticket-", call));
  EXPECT_EQ(last.ready().ticket_lifetime_s(), 30u);
  EXPECT_EQ(last.ready().host(), "hv-a1");
  EXPECT_EQ(last.ready().relays(0), "192.0.2.1:5900");
  EXPECT_FALSE(last.ready().resumed());
  EXPECT_EQ(session->state(), v1::SESSION_STATE_READY);
  EXPECT_EQ(session->explanation().decision(), "running spare");
  EXPECT_EQ(driver_.DesktopOf("jan")->state(), v1::DESKTOP_STATE_ASSIGNED);
  // It was told in order, and the agent got what it needs.
  const auto updates = driver_.Updates(call);
  EXPECT_TRUE(updates.front().has_preparing());
  const auto begin = driver_.Commands(v1::COMMAND_BEGIN_SESSION);
  ASSERT_EQ(begin.size(), 1u);
  EXPECT_EQ(begin[0].user(), "jan");
  EXPECT_EQ(begin[0].display_name(), "Person jan");
  const auto grants = driver_.Commands(v1::COMMAND_GRANT_TICKET);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].ticket().lifetime_ms(), 30'000u);
  EXPECT_EQ(grants[0].ticket().certificate_sha256(), std::string(32, 'c'));
  EXPECT_EQ(grants[0].ticket().ticket_sha256().size(), 32u);
  EXPECT_EQ(grants[0].epoch(), 1u);
  // A new spare is being made in its place.
  EXPECT_EQ(driver_.fleet().desktops.size(), 3u);
}

TEST_F(ConnectTest, TheTicketStandsNowhereButInTheAnswer) {
  Open(1, 4, 1);
  const CallId call = Come("jan");
  const std::string ticket = driver_.Last(call).ready().ticket();
  for (const Effect& effect : driver_.effects()) {
    if (const auto* log = std::get_if<LogEvent>(&effect)) {
      for (const auto& [key, value] : log->fields) {
        EXPECT_EQ(value.find(ticket), std::string::npos) << log->event;
      }
    } else if (const auto* sent = std::get_if<SendCommand>(&effect)) {
      EXPECT_EQ(sent->command.SerializeAsString().find(ticket), std::string::npos);
    }
  }
  for (const auto& entry : driver_.stored().sessions) {
    EXPECT_EQ(entry.record->SerializeAsString().find(ticket), std::string::npos);
  }
}

TEST_F(ConnectTest, NoEntitlement) {
  Open(1, 4, 1);
  const CallId call =
      driver_.Connect(driver_.SignIn("eve", {}, {"cn=guests,dc=example"}), "kantoor");
  EXPECT_EQ(Refused(call).rule(), "no-entitlement");
  EXPECT_EQ(driver_.SessionOf("eve"), nullptr);
}

TEST_F(ConnectTest, APoolThatIsNotThereIsAnsweredAlike) {
  Open(1, 4, 1);
  const v1::Refused none = Refused(driver_.Connect(driver_.SignIn("jan"), "nowhere"));
  const v1::Refused closed =
      Refused(driver_.Connect(driver_.SignIn("eve", {}, {"cn=guests,dc=example"}), "kantoor"));
  EXPECT_EQ(none.rule(), closed.rule());
  EXPECT_EQ(none.reasons(0), closed.reasons(0));
}

TEST_F(ConnectTest, APoolThatIsDrainedOrInMaintenance) {
  Open(1, 4, 1);
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_DRAINING);
  EXPECT_EQ(Refused(Come("jan")).rule(), "pool-draining");
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_MAINTENANCE);
  const v1::Refused refused = Refused(Come("jan"));
  EXPECT_EQ(refused.rule(), "pool-draining");
  EXPECT_THAT(refused.reasons(0), HasSubstr("maintenance"));
}

TEST_F(ConnectTest, WithoutASignInNothing) {
  Open(1, 4, 1);
  const CallId call = driver_.Connect(std::string(32, 'x'), "kantoor");
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Failure(call)));
  EXPECT_TRUE(driver_.Updates(call).empty());
}

TEST_F(ConnectTest, AFullPoolQueuesWithPositionDeadlineAndReasons) {
  Open(1, 1, 1);
  Come("jan");
  const CallId piet = Come("piet");
  const CallId kees = Come("kees");
  const v1::ConnectUpdate first = driver_.Last(piet);
  ASSERT_TRUE(first.has_queued()) << first.ShortDebugString();
  EXPECT_EQ(first.queued().position(), 1u);
  EXPECT_EQ(first.queued().deadline_unix_ms(), absl::ToUnixMillis(driver_.now + absl::Minutes(5)));
  EXPECT_EQ(first.queued().explanation().decision(), "queued");
  EXPECT_THAT(first.queued().explanation().steps(),
              Contains(HasSubstr("1 desktop in use, 0 spare")));
  EXPECT_EQ(first.queued().explanation().hosts_size(), 1);
  EXPECT_EQ(driver_.Last(kees).queued().position(), 2u);
  EXPECT_EQ(Pool().waiting, 2u);
  // Positions are told when they change, and only then.
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(driver_.Updates(kees).size(), 1u);
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(piet).has_ready());
  EXPECT_EQ(driver_.Last(kees).queued().position(), 1u);
  EXPECT_EQ(Pool().waiting, 1u);
}

TEST_F(ConnectTest, WhoseTurnIsCoveredByAStartIsToldSo) {
  Open(0, 4, 0);
  Host().stuck = true;
  const CallId jan = Come("jan");
  ASSERT_TRUE(driver_.Last(jan).has_starting()) << driver_.Last(jan).ShortDebugString();
  EXPECT_NE(driver_.fleet().desktops.Find(driver_.Last(jan).starting().desktop()), nullptr);
  Host().stuck = false;
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(jan).has_ready());
}

TEST_F(ConnectTest, TheDeadlineEndsTheWait) {
  Open(1, 1, 1, [](v1::Pool& pool) { pool.set_queue_deadline_s(20); });
  Come("jan");
  const CallId piet = Come("piet");
  driver_.Advance(absl::Seconds(19));
  EXPECT_TRUE(driver_.Last(piet).has_queued());
  driver_.Advance(absl::Seconds(1));
  const v1::Refused refused = Refused(piet);
  EXPECT_EQ(refused.rule(), "deadline");
  EXPECT_THAT(refused.reasons(), Contains(HasSubstr("1 desktop in use")));
  EXPECT_EQ(Pool().waiting, 0u);
}

TEST_F(ConnectTest, AFullQueueRefuses) {
  Open(1, 1, 1, [](v1::Pool& pool) { pool.set_queue_limit(2); });
  Come("jan");
  Come("a");
  Come("b");
  EXPECT_EQ(Refused(Come("c")).rule(), "queue-full");
}

TEST_F(ConnectTest, ABrokenPoolRefusesAtOnce) {
  Open(1, 4, 1, [](v1::Pool& pool) { pool.set_breaker_failures(2); });
  Host().start_error = "no space left";
  Come("jan");
  driver_.Advance(absl::Seconds(10));
  ASSERT_NE(Pool().breaker, "");
  CallId piet = 0;
  // What still runs is given; after that, a clear refusal.
  for (const std::string user : {"u1", "u2", "u3", "u4"}) {
    piet = Come(user);
    if (driver_.Last(piet).has_refused()) break;
  }
  const v1::Refused refused = Refused(piet);
  EXPECT_EQ(refused.rule(), "pool-broken");
  EXPECT_THAT(refused.reasons(0), HasSubstr("no space left"));
}

TEST_F(ConnectTest, TwentyPeopleTwelveDesktops) {
  Open(2, 12, 2);
  std::vector<CallId> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(Come(absl::StrCat("u", i)));
  driver_.Advance(absl::Seconds(20));
  std::set<std::string> desktops;
  int ready = 0;
  std::vector<uint32_t> positions;
  for (const CallId call : calls) {
    const v1::ConnectUpdate last = driver_.Last(call);
    if (last.has_ready()) {
      ++ready;
      EXPECT_TRUE(desktops.insert(last.ready().desktop()).second);
    } else {
      ASSERT_TRUE(last.has_queued());
      positions.push_back(last.queued().position());
    }
  }
  EXPECT_EQ(ready, 12);
  EXPECT_THAT(positions, testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  // As others end, they get theirs, in their order.
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(End(absl::StrCat("u", i)).ok());
    driver_.Advance(absl::Seconds(3));
    EXPECT_TRUE(driver_.Last(calls[12 + i]).has_ready()) << i;
  }
}

TEST_F(ConnectTest, WhoWaitsTwiceWaitsOnce) {
  Open(1, 1, 1);
  Come("jan");
  const CallId first = Come("piet");
  const CallId kees = Come("kees");
  const CallId second = Come("piet");
  EXPECT_TRUE(absl::IsAborted(driver_.Failure(first)));
  EXPECT_EQ(driver_.Last(second).queued().position(), 1u);
  EXPECT_EQ(driver_.Last(kees).queued().position(), 2u);
  EXPECT_EQ(Pool().waiting, 2u);
}

TEST_F(ConnectTest, WhoGoesAwayLeavesTheQueue) {
  Open(1, 1, 1);
  Come("jan");
  const CallId piet = Come("piet");
  const CallId kees = Come("kees");
  driver_.Apply(CallCancelled{piet});
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.Last(kees).queued().position(), 1u);
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.SessionOf("piet"), nullptr);
  EXPECT_TRUE(driver_.Last(kees).has_ready());
}

TEST_F(ConnectTest, SignedOutWhileWaiting) {
  Open(1, 1, 1);
  Come("jan");
  const std::string token = driver_.SignIn("piet");
  const CallId piet = driver_.Connect(token, "kantoor");
  ASSERT_TRUE(driver_.Call(token, v1::SignOutRequest()).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(driver_.Failure(piet)));
  EXPECT_EQ(Pool().waiting, 0u);
}

TEST_F(ConnectTest, TheEntitlementIsAskedAgainWhenTheTurnComes) {
  Open(1, 1, 1);
  Come("jan");
  const CallId piet = Come("piet");
  v1::DeleteResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_ENTITLEMENT);
  request.set_name("kantoor-staff");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Refused(piet).rule(), "no-entitlement");
}

TEST_F(ConnectTest, ASecondClientTakesTheSessionOver) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  ASSERT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  const std::string session = driver_.SessionOf("jan")->id();
  const std::string desktop = driver_.DesktopOf("jan")->id();
  const CallId second = Come("jan");
  const v1::ConnectUpdate last = driver_.Last(second);
  ASSERT_TRUE(last.has_ready()) << last.ShortDebugString();
  EXPECT_TRUE(last.ready().resumed());
  EXPECT_EQ(last.ready().session(), session);
  EXPECT_EQ(last.ready().desktop(), desktop);
  // The grant closed the first display; the second opens.
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
  Look("jan");
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
}

TEST_F(ConnectTest, AClientThatLostItsScreenDoesNotTakeItFromAnother) {
  Open(1, 4, 1);
  const std::string first = driver_.SignIn("jan");
  driver_.Connect(first, "kantoor");
  Look("jan");
  const std::string second = driver_.SignIn("jan");
  driver_.Connect(second, "kantoor");
  Look("jan");
  const v1::Session before = *driver_.SessionOf("jan");
  driver_.Forget();
  const CallId again = driver_.Connect(first, "kantoor", true);
  EXPECT_TRUE(absl::IsAborted(driver_.Failure(again))) << driver_.Failure(again);
  EXPECT_TRUE(driver_.Updates(again).empty());
  EXPECT_EQ(driver_.SessionOf("jan")->SerializeAsString(), before.SerializeAsString());
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_CONNECTED);
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_GRANT_TICKET).empty());
  EXPECT_EQ(driver_.Counted("connects", "taken-over"), 1u);
  EXPECT_EQ(driver_.audit().back().action(), "reconnect");
  EXPECT_EQ(driver_.audit().back().result(), "taken-over");
  // Who has it opens it again by itself, and a person who asks for it gets it.
  EXPECT_TRUE(driver_.Last(driver_.Connect(second, "kantoor", true)).ready().resumed());
  EXPECT_TRUE(driver_.Last(driver_.Connect(first, "kantoor")).ready().resumed());
}

TEST_F(ConnectTest, AClientWhoseSessionWasLostGetsAnother) {
  Open(2, 4, 2);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  Report("jan")->set_power(v1::POWER_OFF);
  driver_.ReportAll();
  ASSERT_EQ(driver_.SessionOf("jan"), nullptr);
  const CallId again = driver_.Connect(token, "kantoor", true);
  ASSERT_TRUE(driver_.Last(again).has_ready()) << driver_.Last(again).ShortDebugString();
  EXPECT_FALSE(driver_.Last(again).ready().resumed());
}

TEST_F(ConnectTest, AClientThatLostItsScreenLeavesAnothersPlaceInTheQueueAlone) {
  Open(1, 1, 1);
  Come("piet");
  const std::string first = driver_.SignIn("jan");
  const CallId waits = driver_.Connect(driver_.SignIn("jan"), "kantoor");
  const CallId again = driver_.Connect(first, "kantoor", true);
  EXPECT_TRUE(absl::IsAborted(driver_.Failure(again))) << driver_.Failure(again);
  EXPECT_EQ(driver_.Last(waits).queued().position(), 1u);
  EXPECT_EQ(Pool().waiting, 1u);
}

TEST_F(ConnectTest, ANameThatIsSpeltOtherwiseIsTheSamePerson) {
  Open(2, 4, 2);
  Come("jansenj");
  const std::string session = driver_.SessionOf("jansenj")->id();
  const CallId call = Come("JansenJ");
  EXPECT_EQ(driver_.Last(call).ready().session(), session);
  EXPECT_EQ(driver_.fleet().live_sessions.size(), 1u);
}

TEST_F(ConnectTest, TheOldViewerIsNotTakenForTheNewOne) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  Come("jan");
  // The old display lingers while the new ticket is still unused.
  Report("jan")->set_viewer(v1::VIEWER_CONNECTED);
  driver_.ReportAll();
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
}

TEST_F(ConnectTest, AnOwnSessionThatEndsIsWaitedFor) {
  Open(2, 4, 2);
  Come("jan");
  Host().stuck = true;  // The guest is not told, so the end takes its time.
  ASSERT_TRUE(End("jan").ok());
  ASSERT_EQ(State("jan"), v1::SESSION_STATE_ENDING);
  const CallId again = Come("jan");
  EXPECT_FALSE(driver_.Last(again).has_ready());
  Host().stuck = false;
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(again).has_ready());
  EXPECT_FALSE(driver_.Last(again).ready().resumed());
}

TEST_F(ConnectTest, ASuspendedSpareIsResumed) {
  Open(2, 4, 0);
  driver_.Advance(absl::Minutes(2));
  ASSERT_EQ(driver_.Commands(v1::COMMAND_SUSPEND).size(), 2u);
  const CallId call = Come("jan");
  ASSERT_TRUE(driver_.Last(call).has_ready());
  EXPECT_TRUE(driver_.Updates(call).front().has_starting());
  EXPECT_EQ(driver_.SessionOf("jan")->explanation().decision(), "suspended spare");
}

TEST_F(ConnectTest, TwoPoolsTwoSessions) {
  Open(1, 4, 1);
  driver_.Create(MakePool("balie", 1, 2, 1));
  driver_.Create(MakeEntitlement("balie"));
  driver_.Advance(absl::Seconds(5));
  const std::string token = driver_.SignIn("jan");
  EXPECT_TRUE(driver_.Last(driver_.Connect(token, "kantoor")).has_ready());
  EXPECT_TRUE(driver_.Last(driver_.Connect(token, "balie")).has_ready());
  EXPECT_EQ(driver_.fleet().live_sessions.size(), 2u);
}

TEST_F(ConnectTest, OnlyTheNewestRefusalsAreKept) {
  Open(0, 1, 0);
  const std::string token = driver_.SignIn("jan");
  const std::string first = driver_.Last(driver_.Connect(token, "x")).refused().explain_id();
  EXPECT_NE(driver_.fleet().refusals.Find(first), nullptr);
  for (int i = 0; i < 1000; ++i) driver_.Connect(token, "x");
  EXPECT_EQ(driver_.fleet().refusals.size(), 1000u);
  EXPECT_EQ(driver_.fleet().refusals.Find(first), nullptr);
}

}  // namespace
}  // namespace werkplek
