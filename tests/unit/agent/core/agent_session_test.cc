// Sessions, tickets and displays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/core/agent_core.h"
#include "tests/unit/agent/core/core_harness.h"

namespace werkplek {
namespace {

using agent::TicketAnswer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class AgentSessionTest : public testing::Test {
 protected:
  void SetUp() override {
    agent_.Begin();
    agent_.Obey(v1::COMMAND_START);
    agent_.Advance(absl::Seconds(2));
  }

  v1::AgentCommand Grant(const std::string& ticket) const {
    v1::AgentCommand command = agent_.Command(v1::COMMAND_GRANT_TICKET);
    command.mutable_ticket()->set_ticket_sha256(Sha256(ticket));
    return command;
  }

  void Open(uint64_t channel, const std::string& ticket = "ticket-1",
            const std::string& viewer = "viewer-1") {
    ASSERT_EQ(agent_.Present(channel, ticket, "client", viewer), TicketAnswer::kGranted);
    agent_.ApplyAndSettle(agent::DisplayOpened{channel});
  }

  CoreHarness agent_;
};

TEST_F(AgentSessionTest, BeginTellsTheGuestAndUsesUpTheProof) {
  ASSERT_TRUE(agent_.Desktop().has_proof());
  agent_.held = {OperationKind::kBeginSession};
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  // Whatever comes of it, nobody takes this desktop for clean.
  EXPECT_FALSE(agent_.Desktop().has_proof());
  EXPECT_EQ(agent_.Desktop().session(), "");
  ASSERT_THAT(agent_.open, SizeIs(1));
  EXPECT_EQ(agent_.open[0].user, "jan");
  EXPECT_EQ(agent_.open[0].display_name, "Jan de Vries");
  EXPECT_TRUE(agent_.open[0].tell_guest);
  agent_.Release(OperationKind::kBeginSession);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_SESSION);
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Started(OperationKind::kBeginSession), 1u);
}

TEST_F(AgentSessionTest, ABeginThatFailedStillUsedTheDesktop) {
  agent_.host.failures[OperationKind::kBeginSession] = absl::InternalError("hook ended with 1");
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Desktop().failed_verb(), v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Desktop().error(), "hook ended with 1");
  EXPECT_EQ(agent_.Desktop().session(), "");
  EXPECT_FALSE(agent_.Desktop().has_proof());
  agent_.Advance(absl::Seconds(30));
  EXPECT_FALSE(agent_.Desktop().has_proof());
  agent_.host.failures.clear();
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
  EXPECT_EQ(agent_.Desktop().error(), "");
}

TEST_F(AgentSessionTest, ASecondSessionWaitsForTheEndOfTheFirst) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  v1::AgentCommand other = agent_.Command(v1::COMMAND_BEGIN_SESSION);
  other.set_session("session-2");
  agent_.Obey(other);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
  EXPECT_THAT(agent_.Desktop().error(), HasSubstr("session-1"));
  v1::AgentCommand ticket = Grant("ticket-2");
  ticket.set_session("session-2");
  agent_.Obey(ticket);
  EXPECT_THAT(agent_.Desktop().open_tickets(), IsEmpty());
  EXPECT_EQ(agent_.CountOf("refused_commands", "other-session"), 1);
}

TEST_F(AgentSessionTest, ALogOutInTheGuestIsSeenAndStays) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.host.guests["kantoor-1"].state = v1::GUEST_STATE_LOGGED_OUT;
  agent_.Advance(absl::Seconds(3));
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_LOGGED_OUT);
  // A greeter that starts anew takes nothing back.
  agent_.host.guests["kantoor-1"].state = v1::GUEST_STATE_SESSION;
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_LOGGED_OUT);
  agent_.Obey(v1::COMMAND_END_SESSION);
  agent_.Advance(absl::Seconds(1));
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_UP);
  EXPECT_EQ(agent_.Desktop().session(), "");
}

TEST_F(AgentSessionTest, AGuestThatForgotItsSessionIsToldAgain) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  // It was rebooted from inside.
  agent_.host.guests["kantoor-1"] = {"boot-9", v1::GUEST_STATE_UP, ""};
  agent_.Advance(absl::Seconds(3));
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_UP);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Started(OperationKind::kBeginSession), 2u);
  EXPECT_EQ(agent_.Desktop().guest(), v1::GUEST_STATE_SESSION);
}

TEST_F(AgentSessionTest, AnIdleSpareIsNotAskedAgainAndAgain) {
  const size_t before = agent_.Started(OperationKind::kReadGuest);
  agent_.Advance(absl::Seconds(60));
  EXPECT_EQ(agent_.Started(OperationKind::kReadGuest), before);
  agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kGuestAgent, "kantoor-1"}});
  EXPECT_EQ(agent_.Started(OperationKind::kReadGuest), before + 1);
}

TEST_F(AgentSessionTest, TheTicketOpensWithTheMarkOnDisk) {
  // No BEGIN_SESSION came: an image whose guest cannot be told.
  agent_.held = {OperationKind::kMarkUsed};
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_THAT(agent_.Desktop().open_tickets(), IsEmpty());
  EXPECT_FALSE(agent_.Desktop().has_proof());
  EXPECT_EQ(agent_.Present(1), TicketAnswer::kNotRunning);
  agent_.Release(OperationKind::kMarkUsed);
  EXPECT_TRUE(agent_.host.domains["kantoor-1"].tag.used);
  EXPECT_THAT(agent_.Desktop().open_tickets(), ElementsAre(Sha256("ticket-1")));
  EXPECT_EQ(agent_.Present(2), TicketAnswer::kGranted);
}

TEST_F(AgentSessionTest, WithoutTheMarkNoDisplay) {
  agent_.host.failures[OperationKind::kMarkUsed] = absl::InternalError("no");
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_THAT(agent_.Desktop().open_tickets(), IsEmpty());
  EXPECT_NE(agent_.Present(1), TicketAnswer::kGranted);
  EXPECT_FALSE(agent_.Desktop().has_proof());
  // The broker, which does not see the ticket open, sends it again.
  agent_.host.failures.clear();
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_THAT(agent_.Desktop().open_tickets(), ElementsAre(Sha256("ticket-1")));
  EXPECT_EQ(agent_.Present(2), TicketAnswer::kGranted);
}

TEST_F(AgentSessionTest, ATicketThatTheMarkMadeLateOpensWhenItIsSentAgain) {
  agent_.held = {OperationKind::kMarkUsed};
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  agent_.Advance(absl::Minutes(2));
  agent_.Release(OperationKind::kMarkUsed);
  EXPECT_THAT(agent_.Desktop().open_tickets(), IsEmpty());
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_THAT(agent_.Desktop().open_tickets(), ElementsAre(Sha256("ticket-1")));
}

TEST_F(AgentSessionTest, AfterABeginTheTicketIsOpenAtOnce) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_EQ(agent_.Started(OperationKind::kMarkUsed), 0u);
  EXPECT_THAT(agent_.Desktop().open_tickets(), ElementsAre(Sha256("ticket-1")));
}

TEST_F(AgentSessionTest, EveryWrongTicketGetsItsAnswer) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_EQ(agent_.Present(1, "ticket-9"), TicketAnswer::kUnknown);
  EXPECT_EQ(agent_.Present(2, "ticket-1", "thief"), TicketAnswer::kOtherCertificate);
  EXPECT_EQ(agent_.Present(3, "ticket-1", "client", "v", "kantoor-9"), TicketAnswer::kNoDesktop);
  Open(4);
  EXPECT_EQ(agent_.Present(5, "ticket-1", "client", "viewer-2"), TicketAnswer::kUsed);
  EXPECT_EQ(agent_.Present(6), TicketAnswer::kGranted);
  EXPECT_EQ(agent_.CountOf("tickets", "used"), 1);
  EXPECT_EQ(agent_.CountOf("tickets", "other-certificate"), 1);
  EXPECT_EQ(agent_.CountOf("tickets", "granted"), 2);
}

TEST_F(AgentSessionTest, ATicketForOneDesktopOpensNoOther) {
  v1::AgentCommand start = agent_.Command(v1::COMMAND_START);
  start.set_desktop("kantoor-2");
  agent_.Obey(start);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_EQ(agent_.Present(1, "ticket-1", "client", "v", "kantoor-2"), TicketAnswer::kUnknown);
}

TEST_F(AgentSessionTest, ALateTicketIsLateAndNoLongerReported) {
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  agent_.Advance(absl::Seconds(29));
  EXPECT_THAT(agent_.Desktop().open_tickets(), SizeIs(1));
  agent_.Advance(absl::Seconds(1));
  EXPECT_THAT(agent_.Desktop().open_tickets(), IsEmpty());
  EXPECT_EQ(agent_.Present(1), TicketAnswer::kLate);
}

TEST_F(AgentSessionTest, TheLifetimeCountsFromTheReceipt) {
  agent_.held = {OperationKind::kBeginSession};
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  agent_.Advance(absl::Seconds(31));
  agent_.Release(OperationKind::kBeginSession);
  EXPECT_EQ(agent_.Present(1), TicketAnswer::kLate);
}

TEST_F(AgentSessionTest, ARepeatedGrantOpensNothingTwice) {
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  Open(1);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  EXPECT_EQ(agent_.Present(2, "ticket-1", "client", "viewer-2"), TicketAnswer::kUsed);
  EXPECT_THAT(agent_.cut, IsEmpty());
}

TEST_F(AgentSessionTest, ANewTicketCutsTheDisplaysOfTheEarlier) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  Open(1);
  Open(2);
  agent_.Obey(Grant("ticket-2"));
  EXPECT_THAT(agent_.cut, ElementsAre(1u, 2u));
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_GONE);
  Open(3, "ticket-2", "viewer-2");
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_CONNECTED);
  agent_.ApplyAndSettle(agent::DisplayClosed{1});
  agent_.ApplyAndSettle(agent::DisplayClosed{2});
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_CONNECTED);
}

TEST_F(AgentSessionTest, TheViewerIsToldAsItComesAndGoes) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_NONE);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  ASSERT_EQ(agent_.Present(1), TicketAnswer::kGranted);
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_NONE);
  agent_.ApplyAndSettle(agent::DisplayOpened{1});
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_CONNECTED);
  agent_.ApplyAndSettle(agent::DisplayClosed{1});
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_GONE);
  agent_.Obey(v1::COMMAND_END_SESSION);
  EXPECT_EQ(agent_.Desktop().viewer(), v1::VIEWER_NONE);
}

TEST_F(AgentSessionTest, DisplaysAreCutByEveryCommandThatMustCutThem) {
  for (const v1::CommandVerb verb : {v1::COMMAND_CLOSE_DISPLAY, v1::COMMAND_END_SESSION,
                                     v1::COMMAND_STOP, v1::COMMAND_RESET, v1::COMMAND_REMOVE}) {
    CoreHarness agent;
    agent.Begin();
    agent.Obey(v1::COMMAND_START);
    agent.Obey(v1::COMMAND_BEGIN_SESSION);
    agent.Obey(v1::COMMAND_GRANT_TICKET);
    ASSERT_EQ(agent.Present(7), TicketAnswer::kGranted);
    agent.ApplyAndSettle(agent::DisplayOpened{7});
    agent.Obey(verb);
    EXPECT_THAT(agent.cut, ElementsAre(7u)) << v1::CommandVerb_Name(verb);
    EXPECT_NE(agent.Present(8), TicketAnswer::kGranted) << v1::CommandVerb_Name(verb);
  }
}

TEST_F(AgentSessionTest, EndOfSessionCutsTheDisplayEvenWhileSomethingElseRuns) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  Open(1);
  agent_.held = {OperationKind::kSuspend};
  agent_.Obey(v1::COMMAND_SUSPEND);
  agent_.Obey(v1::COMMAND_END_SESSION);
  EXPECT_THAT(agent_.cut, ElementsAre(1u));
}

TEST_F(AgentSessionTest, EndOfASuspendedSessionTellsNobody) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_SUSPEND);
  agent_.Obey(v1::COMMAND_END_SESSION);
  EXPECT_EQ(agent_.operations.back().kind, OperationKind::kEndSession);
  EXPECT_FALSE(agent_.operations.back().tell_guest);
  EXPECT_EQ(agent_.Desktop().session(), "");
  EXPECT_FALSE(agent_.Desktop().has_proof());
}

TEST_F(AgentSessionTest, EndOfAnotherSessionIsRefused) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  v1::AgentCommand end = agent_.Command(v1::COMMAND_END_SESSION);
  end.set_session("session-2");
  agent_.Obey(end);
  EXPECT_EQ(agent_.Desktop().session(), "session-1");
  EXPECT_EQ(agent_.CountOf("refused_commands", "other-session"), 1);
}

TEST_F(AgentSessionTest, NothingOpensASuspendedDesktop) {
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  agent_.Obey(v1::COMMAND_SUSPEND);
  EXPECT_EQ(agent_.Present(1), TicketAnswer::kNotRunning);
}

TEST_F(AgentSessionTest, ADesktopThatWentTakesItsDisplaysAlong) {
  agent_.Obey(v1::COMMAND_GRANT_TICKET);
  Open(1);
  agent_.host.domains.clear();
  agent_.ApplyAndSettle(agent::DomainChanged{{HypervisorEvent::Kind::kLifecycle, "kantoor-1"}});
  agent_.Advance(absl::Milliseconds(100));
  EXPECT_THAT(agent_.cut, ElementsAre(1u));
  agent_.ApplyAndSettle(agent::DisplayClosed{1});
}

TEST_F(AgentSessionTest, ADesktopThatIsNotThereCanBeToldNothing) {
  v1::AgentCommand begin = agent_.Command(v1::COMMAND_BEGIN_SESSION);
  begin.set_desktop("kantoor-9");
  agent_.Obey(begin);
  EXPECT_EQ(agent_.CountOf("refused_commands", "no-desktop"), 1);
  EXPECT_EQ(agent_.Desktop("kantoor-9").desktop(), "");
}

TEST_F(AgentSessionTest, AUsedDesktopStaysUsedThroughStopAndStart) {
  agent_.Obey(v1::COMMAND_BEGIN_SESSION);
  agent_.Obey(v1::COMMAND_END_SESSION);
  agent_.Obey(v1::COMMAND_STOP);
  agent_.Advance(absl::Seconds(2));
  agent_.Obey(v1::COMMAND_START);
  agent_.Advance(absl::Seconds(10));
  EXPECT_EQ(agent_.Desktop().power(), v1::POWER_RUNNING);
  EXPECT_FALSE(agent_.Desktop().has_proof());
}

}  // namespace
}  // namespace werkplek
