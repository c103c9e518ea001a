#include "broker/core/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/broker/core/driver.h"
#include "tests/unit/broker/core/municipality.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::HasSubstr;

class SessionsTest : public Municipality {};

TEST_F(SessionsTest, TheViewerMakesItActiveAndItsGoingDisconnects) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  LookAway("jan");
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  // A display that opens again by the same viewer.
  Report("jan")->set_viewer(v1::VIEWER_CONNECTED);
  driver_.ReportAll();
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
}

TEST_F(SessionsTest, ATicketThatNobodyUsesStartsThePolicysClock) {
  Open(1, 4, 1);
  Come("jan");
  driver_.Advance(absl::Seconds(30));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
  driver_.Advance(absl::Seconds(6));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
}

TEST_F(SessionsTest, ThePolicySuspendsThenEndsAndConnectResumes) {
  Open(1, 4, 1, [](v1::Pool& pool) {
    pool.mutable_disconnect()->set_suspend_after_s(60);
    pool.mutable_disconnect()->set_end_after_s(600);
  });
  Come("jan");
  Look("jan");
  const std::string desktop = driver_.DesktopOf("jan")->id();
  LookAway("jan");
  driver_.Advance(absl::Seconds(59));
  EXPECT_EQ(Report("jan")->power(), v1::POWER_RUNNING);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Report("jan")->power(), v1::POWER_SUSPENDED);
  EXPECT_EQ(driver_.DesktopOf("jan")->wanted_power(), v1::POWER_SUSPENDED);
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  const CallId again = Come("jan");
  ASSERT_TRUE(driver_.Last(again).has_ready());
  EXPECT_EQ(driver_.Last(again).ready().desktop(), desktop);
  EXPECT_TRUE(driver_.Updates(again).front().has_starting());
  Look("jan");
  LookAway("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  driver_.Advance(absl::Seconds(601));
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(session).end_reason(), "disconnect policy");
}

TEST_F(SessionsTest, IdleSparesAreNeverTouchedByThePolicy) {
  Open(3, 6, 3, [](v1::Pool& pool) {
    pool.mutable_disconnect()->set_suspend_after_s(5);
    pool.mutable_disconnect()->set_end_after_s(10);
  });
  driver_.Forget();
  driver_.Advance(absl::Minutes(10));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_SUSPEND).empty());
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_RESET).empty());
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 3);
}

TEST_F(SessionsTest, AnActiveSessionIsNotTouchedByThePolicy) {
  Open(1, 4, 1, [](v1::Pool& pool) { pool.mutable_disconnect()->set_end_after_s(10); });
  Come("jan");
  Look("jan");
  driver_.Advance(absl::Hours(1));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
}

TEST_F(SessionsTest, AShorterPolicyCountsForThoseWhoAreGoneAlready) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  LookAway("jan");
  driver_.Advance(absl::Minutes(5));
  UpdatePool([](v1::Pool& pool) { pool.mutable_disconnect()->set_end_after_s(60); });
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
}

TEST_F(SessionsTest, TheEndResetsTheDesktopInOneCommit) {
  Open(2, 4, 1);
  Come("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  const std::string desktop = driver_.DesktopOf("jan")->id();
  const uint64_t generation = Desktop(desktop).generation();
  bool together = false;
  driver_.check = [&](const Event&, const Decision& decision) {
    bool ended = false;
    bool resetting = false;
    for (const v1::Change& change : decision.changes) {
      if (change.key() == session) {
        v1::Session s;
        ASSERT_TRUE(s.ParseFromString(change.value()));
        ended = s.state() == v1::SESSION_STATE_ENDED;
      } else if (change.key() == desktop) {
        v1::Desktop d;
        ASSERT_TRUE(d.ParseFromString(change.value()));
        resetting = d.state() == v1::DESKTOP_STATE_RESETTING;
      }
    }
    EXPECT_EQ(ended, resetting);
    together = together || (ended && resetting);
  };
  driver_.Forget();
  ASSERT_TRUE(End("jan").ok());
  EXPECT_TRUE(together);
  driver_.check = nullptr;
  EXPECT_EQ(Session(session).end_reason(), "user");
  // The guest was told, then the reset commanded, with the next generation.
  EXPECT_EQ(driver_.Commands(v1::COMMAND_END_SESSION).size(), 1u);
  const auto resets = driver_.Commands(v1::COMMAND_RESET);
  ASSERT_EQ(resets.size(), 1u);
  EXPECT_EQ(resets[0].generation(), generation + 1);
  EXPECT_EQ(Desktop(desktop).state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Desktop(desktop).proof().generation(), generation + 1);
}

TEST_F(SessionsTest, AnEndThatTheGuestIgnoresTakesTenSeconds) {
  Open(1, 4, 1);
  Come("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  Host().stuck = true;
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(9));
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDING);
  EXPECT_GT(driver_.Commands(v1::COMMAND_END_SESSION).size(), 3u);  // Repeated.
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
}

TEST_F(SessionsTest, LoggingOutInTheDesktopEndsIt) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  Report("jan")->set_guest(v1::GUEST_STATE_LOGGED_OUT);
  driver_.ReportAll();
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(session).end_reason(), "logged out in the desktop");
}

TEST_F(SessionsTest, ADesktopThatIsPoweredOffEndsIt) {
  Open(2, 4, 1);
  Come("jan");
  const std::string session = driver_.SessionOf("jan")->id();
  const std::string desktop = driver_.DesktopOf("jan")->id();
  Report("jan")->set_power(v1::POWER_OFF);
  driver_.ReportAll();
  EXPECT_EQ(Session(session).state(), v1::SESSION_STATE_ENDED);
  EXPECT_EQ(Session(session).end_reason(), "the desktop was powered off");
  EXPECT_EQ(Desktop(desktop).generation(), 2u);
}

TEST_F(SessionsTest, DisconnectClosesTheDisplayAndKeepsTheSession) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  v1::DisconnectRequest request;
  request.set_session(driver_.SessionOf("jan")->id());
  ASSERT_TRUE(driver_.Call(token, request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, ADisconnectThatGotLostIsRepeatedEvenOverARestart) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  Host().stuck = true;
  v1::DisconnectRequest request;
  request.set_session(driver_.SessionOf("jan")->id());
  ASSERT_TRUE(driver_.Call(token, request).ok());
  driver_.Restart();
  Host().stuck = false;
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, NobodyTouchesSomebodyElsesSession) {
  Open(1, 4, 1);
  Come("jan");
  const std::string id = driver_.SessionOf("jan")->id();
  const std::string eve = driver_.SignIn("eve");
  v1::EndSessionRequest end;
  end.set_session(id);
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(eve, end).status()));
  v1::DisconnectRequest disconnect;
  disconnect.set_session(id);
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(eve, disconnect).status()));
  end.set_session("s-0000");
  EXPECT_TRUE(absl::IsNotFound(driver_.Call(eve, end).status()));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
}

TEST_F(SessionsTest, AGuestThatCannotBeToldIsOpenedAllTheSameAndSaysSo) {
  Open(1, 4, 1);
  driver_.lose_command = [] { return false; };
  const std::string token = driver_.SignIn("jan");
  // The agent's answer: it tried and failed.
  driver_.check = [&](const Event&, const Decision& decision) {
    for (const Effect& effect : decision.effects) {
      const auto* sent = std::get_if<SendCommand>(&effect);
      if (sent == nullptr || sent->command.verb() != v1::COMMAND_BEGIN_SESSION) continue;
      v1::DesktopReport* desktop = Host().Find(sent->command.desktop());
      desktop->set_failed_verb(v1::COMMAND_BEGIN_SESSION);
      desktop->set_error("guest agent does not answer");
      Host().guest_agent = false;  // Obey does nothing then.
    }
  };
  const CallId call = driver_.Connect(token, "kantoor");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_THAT(driver_.SessionOf("jan")->explanation().steps(),
              Contains(HasSubstr("could not be told")));
}

TEST_F(SessionsTest, TheEndClosesTheDisplayOfAGuestThatWasNeverTold) {
  Open(1, 4, 1);
  Host().guest_agent = false;  // Obey ignores BEGIN_SESSION; the report still claims an agent.
  Come("jan");
  driver_.Advance(absl::Seconds(21));
  Look("jan");
  const std::string desktop = driver_.DesktopOf("jan")->id();
  // No reset comes while the pool is looked after.
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_MAINTENANCE);
  driver_.Forget();
  ASSERT_TRUE(End("jan").ok());
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Desktop(desktop).state(), v1::DESKTOP_STATE_DIRTY);
  EXPECT_EQ(driver_.Commands(v1::COMMAND_CLOSE_DISPLAY).size(), 1u);
  EXPECT_EQ(Host().Find(desktop)->viewer(), v1::VIEWER_GONE);
  // Also when that command got lost.
  Host().Find(desktop)->set_viewer(v1::VIEWER_CONNECTED);
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Host().Find(desktop)->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, WhoConnectsAgainMeanwhileWaitsForTheGuestAsLong) {
  Open(1, 4, 1);
  Host().guest_agent = false;
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  const CallId again = driver_.Connect(token, "kantoor");
  driver_.Advance(absl::Milliseconds(500));
  EXPECT_TRUE(driver_.Last(again).has_preparing());
  EXPECT_THAT(driver_.SessionOf("jan")->explanation().steps(),
              testing::Not(Contains(HasSubstr("not told"))));
}

TEST_F(SessionsTest, AGuestThatIsSilentIsWaitedForAtMostTwentySeconds) {
  Open(1, 4, 1);
  Host().guest_agent = false;  // Obey ignores BEGIN_SESSION; the report still claims an agent.
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(19));
  EXPECT_TRUE(driver_.Last(call).has_preparing());
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_ready());
  EXPECT_THAT(driver_.SessionOf("jan")->explanation().steps(),
              Contains(HasSubstr("was not told of the session within 20 s")));
}

TEST_F(SessionsTest, AnImageWithoutGuestAgentNeedsNoTelling) {
  driver_.Create(MakeSite("a"));
  driver_.Create(MakeHost("hv-a1"));
  v1::Resource image = MakeImage("tiny");
  image.mutable_image()->set_guest_agent(false);
  driver_.Create(image);
  driver_.Create(MakePool("kantoor", 1, 2, 1));
  driver_.Create(MakeEntitlement("kantoor"));
  FakeHost& host = driver_.hosts.emplace("hv-a1", FakeHost("hv-a1")).first->second;
  host.guest_agent = false;
  driver_.AddHost("hv-a1");
  driver_.Advance(absl::Seconds(3));
  const CallId call = Come("jan");
  EXPECT_TRUE(driver_.Last(call).has_ready());
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
}

TEST_F(SessionsTest, WhoLeavesBeforeItIsReadyFindsItLater) {
  Open(1, 4, 1);
  Host().guest_agent = false;
  const CallId call = Come("jan");
  driver_.Apply(CallCancelled{call});
  driver_.Advance(absl::Seconds(22));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
  EXPECT_FALSE(driver_.Last(call).has_ready());
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_GRANT_TICKET).empty());
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(22));
  ASSERT_TRUE(driver_.Last(again).has_ready());
  EXPECT_TRUE(driver_.Last(again).ready().resumed());
}

TEST_F(SessionsTest, ADesktopThatIsNeverPreparedEndsTheCallAndStartsTheClock) {
  Open(1, 4, 1, [](v1::Pool& pool) { pool.set_start_deadline_s(30); });
  Host().stuck = true;
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(51));
  EXPECT_TRUE(absl::IsUnavailable(driver_.Failure(call)));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
}

TEST_F(SessionsTest, ADesktopThatCannotBeResumedIsGivenUpAndAnotherIsGiven) {
  Open(1, 4, 1, [](v1::Pool& pool) { pool.mutable_disconnect()->set_suspend_after_s(5); });
  Come("jan");
  const std::string first = driver_.SessionOf("jan")->id();
  driver_.Advance(absl::Minutes(1));
  ASSERT_EQ(Report("jan")->power(), v1::POWER_SUSPENDED);
  v1::DesktopReport* desktop = Report("jan");
  driver_.check = [&](const Event&, const Decision& decision) {
    for (const Effect& effect : decision.effects) {
      const auto* sent = std::get_if<SendCommand>(&effect);
      if (sent == nullptr || sent->command.verb() != v1::COMMAND_RESUME) continue;
      desktop->set_failed_verb(v1::COMMAND_RESUME);
      desktop->set_error("the saved memory is damaged");
      Host().stuck = true;
    }
  };
  const CallId call = Come("jan");
  driver_.check = nullptr;
  Host().stuck = false;
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Session(first).state(), v1::SESSION_STATE_ENDED);
  EXPECT_THAT(Session(first).end_reason(), HasSubstr("the saved memory is damaged"));
  EXPECT_TRUE(driver_.Last(call).has_ready());
  EXPECT_NE(driver_.Last(call).ready().session(), first);
}

TEST_F(SessionsTest, ARevokedSignInClosesItsDisplays) {
  Open(1, 4, 1);
  Come("jan");
  Look("jan");
  v1::RevokeSignInsRequest request;
  request.set_user("jan");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, ARevokedPersonsDisplaysCloseThoughTheSignInIsGone) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  ASSERT_TRUE(driver_.Call(token, v1::SignOutRequest()).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  v1::RevokeSignInsRequest request;
  request.set_user("piet");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  request.set_user("jan");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, ARevokedMachinesDisplaysCloseThoughTheSignInIsGone) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  ASSERT_TRUE(driver_.Call(token, v1::SignOutRequest()).ok());
  v1::RevokeCertificatesRequest request;
  request.set_reason("stolen");
  request.set_peer("client/another");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  request.set_peer(driver_.SessionOf("jan")->client());
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Report("jan")->viewer(), v1::VIEWER_GONE);
}

TEST_F(SessionsTest, ARevocationReachesADisplayOfWhichALateReportTells) {
  Open(1, 4, 1);
  Come("jan");
  driver_.Advance(absl::Seconds(36));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  driver_.Forget();
  v1::RevokeSignInsRequest request;
  request.set_user("jan");
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  EXPECT_EQ(driver_.Commands(v1::COMMAND_CLOSE_DISPLAY).size(), 1u);
}

TEST_F(SessionsTest, SignOutLeavesTheSessionToItsPolicy) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  ASSERT_TRUE(driver_.Call(token, v1::SignOutRequest()).ok());
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_READY);
}

TEST_F(SessionsTest, LeavingTheDisplayCountsAsUseUntilThen) {
  Open(1, 4, 1);
  const std::string token = driver_.SignIn("jan");
  driver_.Connect(token, "kantoor");
  Look("jan");
  driver_.Advance(absl::Hours(2));
  EXPECT_NE(driver_.fleet().sign_in_by_token.Find(token), nullptr);
  LookAway("jan");
  driver_.Advance(absl::Minutes(29));
  EXPECT_NE(driver_.fleet().sign_in_by_token.Find(token), nullptr);
  driver_.Advance(absl::Minutes(2));
  EXPECT_EQ(driver_.fleet().sign_in_by_token.Find(token), nullptr);
}

TEST_F(SessionsTest, EndedSessionsAreForgottenAfterADay) {
  Open(1, 4, 1);
  Come("jan");
  const std::string id = driver_.SessionOf("jan")->id();
  ASSERT_TRUE(End("jan").ok());
  driver_.now += absl::Hours(23);
  driver_.ReportAll();
  driver_.Apply(Tick{});
  EXPECT_NE(driver_.fleet().sessions.Find(id), nullptr);
  driver_.Restart();
  driver_.now += absl::Hours(1);
  driver_.ReportAll();
  driver_.Apply(Tick{});
  EXPECT_EQ(driver_.fleet().sessions.Find(id), nullptr);
  EXPECT_EQ(driver_.stored().sessions.Find(id), nullptr);
}

TEST_F(SessionsTest, SessionsGoOnOverARestartOfTheBroker) {
  Open(2, 4, 1, [](v1::Pool& pool) { pool.mutable_disconnect()->set_end_after_s(60); });
  Come("jan");
  Look("jan");
  Come("piet");
  driver_.Restart();
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_ACTIVE);
  LookAway("jan");
  driver_.Restart();
  driver_.Advance(absl::Seconds(120));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(driver_.SessionOf("piet"), nullptr);
  EXPECT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 2);
}

}  // namespace
}  // namespace werkplek
