#include "broker/core/moves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/unit/broker/core/moving_site.h"

namespace werkplek {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class MovesTest : public MovingSite {
 protected:
  // jan's display is open on hv-a1; hv-a2 (and hv-a3, when there) are empty.
  void BuildWithJan(int hosts = 2) {
    Build(hosts, 0);
    WorkOn("hv-a1", "jan");
    jan_ = driver_.SessionOf("jan")->id();
    desktop_ = driver_.DesktopOf("jan")->id();
  }
  // The move to hv-a2 has begun, and the host is at it.
  void BeginMoving(int hosts = 2) {
    BuildWithJan(hosts);
    driver_.hold_moves = true;
    Drain("hv-a1");
    driver_.Advance(absl::Seconds(2));
    ASSERT_EQ(TargetOf("jan"), "hv-a2");
    ASSERT_EQ(Host("hv-a1").Find(desktop_)->operation(), v1::COMMAND_MIGRATE);
  }
  std::vector<v1::AgentCommand> Sent(v1::CommandVerb verb, const std::string& host) {
    std::vector<v1::AgentCommand> commands;
    for (const Effect& effect : driver_.effects()) {
      const auto* sent = std::get_if<SendCommand>(&effect);
      if (sent != nullptr && sent->host == host && sent->command.verb() == verb) {
        commands.push_back(sent->command);
      }
    }
    return commands;
  }

  std::string jan_;
  std::string desktop_;
};

TEST_F(MovesTest, ADrainMovesTheSessionWithItsDesktop) {
  BuildWithJan();
  const uint64_t generation = driver_.DesktopOf("jan")->generation();
  driver_.hold_moves = true;
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_EQ(driver_.stored().desktops.Find(desktop_)->moving_to(), "hv-a2");
  const auto commands = Sent(v1::COMMAND_MIGRATE, "hv-a1");
  ASSERT_THAT(commands, SizeIs(1));
  EXPECT_EQ(commands[0].desktop(), desktop_);
  EXPECT_EQ(commands[0].generation(), generation);
  EXPECT_EQ(commands[0].move_to(), "hv-a2");
  EXPECT_EQ(commands[0].migration_uri(), "qemu+tls://hv-a2/system");
  // Either of them may have it: its memory counts on both.
  EXPECT_EQ(Committed()["hv-a1"], 1024u);
  EXPECT_EQ(Committed()["hv-a2"], 1024u);
  EXPECT_THAT(Explained(jan_), Contains("is being moved from hv-a1 to hv-a2"));
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
  EXPECT_EQ(driver_.DesktopOf("jan")->generation(), generation);
  EXPECT_EQ(State("jan"), v1::SESSION_STATE_DISCONNECTED);
  EXPECT_EQ(Committed()["hv-a1"], 0u);
  EXPECT_THAT(driver_.Commands(v1::COMMAND_REMOVE), IsEmpty());
  EXPECT_THAT(Audited("move"),
              ElementsAre(absl::StrCat("broker desktop:", desktop_, " ok hv-a1 to hv-a2")));
  EXPECT_THAT(Explained(jan_), Contains("move: from hv-a1 to hv-a2: hv-a1 is being drained"));
  EXPECT_THAT(Explained(desktop_), Contains("move: arrived on hv-a2, before that on hv-a1"));
  EXPECT_EQ(driver_.Counted("moves", "begun"), 1u);
  EXPECT_EQ(driver_.Counted("moves", "done"), 1u);
}

TEST_F(MovesTest, WhoConnectsMeanwhileGetsTheDisplayOnTheNewHost) {
  BeginMoving();
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(call).has_starting()) << driver_.Last(call).ShortDebugString();
  EXPECT_THAT(Sent(v1::COMMAND_BEGIN_SESSION, "hv-a2"), IsEmpty());
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_EQ(driver_.Last(call).ready().host(), "hv-a2");
  EXPECT_EQ(driver_.Last(call).ready().session(), jan_);
}

TEST_F(MovesTest, AMoveThatFailsIsTriedElsewhereAfterAWhile) {
  BeginMoving(3);
  Host("hv-a1").move_error = "unsupported CPU";
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_EQ(Committed()["hv-a2"], 0u);
  EXPECT_THAT(Audited("move"), Contains(HasSubstr("failed hv-a1 to hv-a2")));
  EXPECT_THAT(Explained(desktop_),
              Contains("move: the move from hv-a1 to hv-a2 failed: unsupported CPU"));
  EXPECT_THAT(Explained(desktop_),
              Contains(HasSubstr("its move to hv-a2 failed (unsupported CPU); tried again in")));
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(TargetOf("jan"), "");
  Host("hv-a1").move_error.clear();
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(TargetOf("jan"), "hv-a3");
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(HostOf("jan"), "hv-a3");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, TheSameFailureTwiceEndsTheSecondMoveToo) {
  BeginMoving();
  Host("hv-a1").move_error = "unsupported CPU";
  driver_.hold_moves = false;
  driver_.Advance(absl::Minutes(4));
  EXPECT_GE(driver_.Counted("moves", "failed"), 2u);
  EXPECT_LE(driver_.Counted("moves", "failed"), 4u) << "it waits longer each time";
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, ATargetThatIsLostLeavesTheDesktopWhereItIs) {
  BeginMoving(3);
  Host("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(12));
  EXPECT_EQ(TargetOf("jan"), "hv-a2") << "its host is still at it";
  driver_.FinishMoves();
  driver_.hold_moves = false;
  driver_.Advance(absl::Seconds(40));
  EXPECT_EQ(HostOf("jan"), "hv-a3");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, ATargetThatIsLostWithTheDesktopLosesItsSession) {
  BeginMoving();
  driver_.FinishMoves();
  Host("hv-a2").silent = true;
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Desktop(desktop_).state(), v1::DESKTOP_STATE_LOST);
  EXPECT_EQ(Desktop(desktop_).host(), "hv-a2");
  EXPECT_EQ(Desktop(desktop_).moving_to(), "");
  // Nobody makes a second one of it on the host that it left.
  EXPECT_EQ(Host("hv-a1").Find(desktop_), nullptr);
}

TEST_F(MovesTest, NothingIsConcludedOfATargetThatAnOperatorIsAskedAbout) {
  BeginMoving(3);
  // The site loses its power in the middle: more than may be judged lost unasked.
  for (const char* host : {"hv-a1", "hv-a2", "hv-a3"}) {
    Host(host).silent = true;
    Host(host).report().clear_desktops();
  }
  driver_.Advance(absl::Seconds(15));
  ASSERT_NE(driver_.fleet().site_losses.Find("a"), nullptr);
  Wake("hv-a1");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_EQ(TargetOf("jan"), "hv-a2") << "it may be there";
  Wake("hv-a2");
  driver_.Advance(absl::Seconds(25));
  EXPECT_EQ(driver_.Counted("moves", "failed"), 1u);
  EXPECT_EQ(driver_.Counted("moves", "lost"), 0u);
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr) << "it was in no memory any more";
}

TEST_F(MovesTest, ASourceThatIsLostAfterTheHandoverLosesNothing) {
  BeginMoving();
  Host("hv-a1").silent = true;
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(15));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
  // It is back, and has it no more.
  Wake("hv-a1");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, ASourceThatIsLostInTheMiddleLosesTheSessionAndKeepsBothHostsInMind) {
  BeginMoving();
  Host("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(12));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Desktop(desktop_).state(), v1::DESKTOP_STATE_LOST);
  EXPECT_EQ(Desktop(desktop_).moving_to(), "hv-a2");
  // It turns up on the target all the same: it is made fresh there, not taken for a stranger.
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Logged("desktop-moved", "host", "hv-a2"));
  EXPECT_TRUE(driver_.Logged("desktop-spoiled", "host", "hv-a2"));
  EXPECT_FALSE(driver_.Logged("unknown-desktop", "desktop", desktop_));
}

TEST_F(MovesTest, ASourceThatComesBackWithTheDesktopKeepsIt) {
  BeginMoving();
  Host("hv-a1").silent = true;
  driver_.Advance(absl::Seconds(12));
  Host("hv-a1").move_error = "the connection broke";
  driver_.FinishMoves();
  Wake("hv-a1");
  driver_.Advance(absl::Seconds(5));
  const v1::Desktop* desktop = driver_.fleet().desktops.Find(desktop_);
  if (desktop != nullptr) {
    EXPECT_EQ(desktop->moving_to(), "");
    EXPECT_NE(desktop->state(), v1::DESKTOP_STATE_LOST);
  }
}

TEST_F(MovesTest, TheNextLeaderFollowsAMoveThatIsUnderWay) {
  BeginMoving();
  driver_.Restart();
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  EXPECT_EQ(Committed()["hv-a2"], 1024u);
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, TheNextLeaderSendsAnOrderThatWasLost) {
  BuildWithJan();
  driver_.hold_moves = true;
  driver_.lose_command = [] { return true; };
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(2));
  ASSERT_EQ(TargetOf("jan"), "hv-a2");
  driver_.lose_command = nullptr;
  driver_.Restart();
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Host("hv-a1").Find(desktop_)->operation(), v1::COMMAND_MIGRATE);
}

TEST_F(MovesTest, AnOrderThatIsNeverBegunIsGivenUpWithItsReason) {
  BuildWithJan();
  Host("hv-a1").stuck = true;
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  driver_.Advance(absl::Seconds(20));
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_THAT(Explained(desktop_), Contains(HasSubstr("hv-a1 did not begin it within 30 s")));
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, AnOrderThatComesLateIsFollowedAllTheSame) {
  BuildWithJan();
  Host("hv-a1").stuck = true;
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(40));
  ASSERT_EQ(TargetOf("jan"), "");
  // The host does what it was told long ago; the target shows it before it is over.
  driver_.hold_moves = true;
  v1::DesktopReport& there = *Host("hv-a1").Find(desktop_);
  there.set_operation(v1::COMMAND_MIGRATE);
  there.set_moving_to("hv-a2");
  v1::DesktopReport& coming = *Host("hv-a2").report().add_desktops();
  coming = there;
  coming.set_power(v1::POWER_SUSPENDED);
  coming.clear_operation();
  coming.clear_moving_to();
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  EXPECT_THAT(Sent(v1::COMMAND_REMOVE, "hv-a2"), IsEmpty());
  Host("hv-a2").report().clear_desktops();
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, ADesktopThatIsFoundOnAnotherHostOfItsStorageIsFollowed) {
  BuildWithJan();
  v1::DesktopReport& moved = *Host("hv-a2").report().add_desktops();
  moved = *Host("hv-a1").Find(desktop_);
  Host("hv-a1").report().clear_desktops();
  // The new host speaks first or second: neither order loses the session.
  driver_.Apply(AgentReported{"hv-a2", Host("hv-a2").link, Host("hv-a2").Report()});
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
}

TEST_F(MovesTest, ATargetThatShowsItEarlyIsNeitherBelievedNorCleared) {
  BeginMoving();
  v1::DesktopReport coming = *Host("hv-a1").Find(desktop_);
  coming.clear_operation();
  coming.set_power(v1::POWER_SUSPENDED);
  *Host("hv-a2").report().add_desktops() = coming;
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(HostOf("jan"), "hv-a1");
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  EXPECT_THAT(driver_.Commands(v1::COMMAND_REMOVE), IsEmpty());
}

TEST_F(MovesTest, WhatIsLeftBehindIsRemovedAtItsGeneration) {
  BeginMoving();
  const v1::DesktopReport left = *Host("hv-a1").Find(desktop_);
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(2));
  ASSERT_EQ(HostOf("jan"), "hv-a2");
  v1::DesktopReport& again = *Host("hv-a1").report().add_desktops();
  again = left;
  again.set_power(v1::POWER_OFF);
  again.clear_operation();
  driver_.Advance(absl::Seconds(4));
  const auto removed = Sent(v1::COMMAND_REMOVE, "hv-a1");
  ASSERT_FALSE(removed.empty());
  EXPECT_EQ(removed[0].generation(), left.generation());
  EXPECT_THAT(Sent(v1::COMMAND_REMOVE, "hv-a2"), IsEmpty());
  EXPECT_EQ(HostOf("jan"), "hv-a2");
}

TEST_F(MovesTest, ADrainThatIsCalledOffBeginsNothingNew) {
  Build(2, 0);
  WorkOn("hv-a1", "jan");
  WorkOn("hv-a1", "els");
  driver_.hold_moves = true;
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Moving(), 1) << "one at a time from one host";
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_OPEN);
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Moving(), 0);
  EXPECT_NE(HostOf("jan"), HostOf("els")) << "what was under way arrived";
}

TEST_F(MovesTest, AnAdminsResetOfAMovingDesktopWaitsForItsArrival) {
  BeginMoving();
  v1::ResetDesktopRequest request;
  request.set_desktop(desktop_);
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  driver_.Advance(absl::Seconds(12));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Desktop(desktop_).state(), v1::DESKTOP_STATE_DIRTY);
  EXPECT_EQ(Desktop(desktop_).moving_to(), "hv-a2");
  EXPECT_THAT(driver_.Commands(v1::COMMAND_RESET), IsEmpty());
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(5));
  // Nobody needs it any more: it goes, on the host where it is now.
  EXPECT_EQ(driver_.fleet().desktops.Find(desktop_), nullptr);
  EXPECT_EQ(Host("hv-a2").Find(desktop_), nullptr);
  EXPECT_EQ(Host("hv-a1").Find(desktop_), nullptr);
}

TEST_F(MovesTest, ASessionThatEndsWhileItMovesLeavesNothingBehind) {
  BeginMoving();
  ASSERT_TRUE(End("jan").ok());
  driver_.FinishMoves();
  driver_.hold_moves = false;
  driver_.Advance(absl::Seconds(30));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(driver_.fleet().desktops.size(), 0u);
  EXPECT_THAT(Host("hv-a1").report().desktops(), IsEmpty());
  EXPECT_THAT(Host("hv-a2").report().desktops(), IsEmpty());
}

TEST_F(MovesTest, ADesktopThatIsShutDownInTheMiddleIsNotMoved) {
  BeginMoving();
  Host("hv-a1").Find(desktop_)->clear_operation();
  Host("hv-a1").Find(desktop_)->set_power(v1::POWER_OFF);
  driver_.Advance(absl::Seconds(4));
  EXPECT_EQ(TargetOf("jan"), "hv-a2") << "it may have been handed over";
  driver_.Advance(absl::Seconds(22));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_THAT(Audited("move"), Contains(HasSubstr("failed")));
}

TEST_F(MovesTest, ASourceThatLostItsPowerAfterTheHandoverFindsItOffAndIsNotBelieved) {
  BeginMoving();
  v1::DesktopReport left = *Host("hv-a1").Find(desktop_);
  driver_.FinishMoves();
  left.set_power(v1::POWER_OFF);
  left.clear_operation();
  left.clear_moving_to();
  *Host("hv-a1").report().add_desktops() = left;
  driver_.Advance(absl::Seconds(4));
  EXPECT_EQ(HostOf("jan"), "hv-a2");
  EXPECT_EQ(TargetOf("jan"), "");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), jan_);
  EXPECT_THAT(Sent(v1::COMMAND_REMOVE, "hv-a2"), IsEmpty());
}

TEST_F(MovesTest, ASuspendedDesktopOfADrainedHostMovesBeforeItResumes) {
  Build(2, 0);
  UpdatePool([](v1::Pool& pool) { pool.mutable_disconnect()->set_suspend_after_s(5); });
  WorkOn("hv-a1", "jan");
  const std::string session = driver_.SessionOf("jan")->id();
  LookAway("jan");
  driver_.Advance(absl::Seconds(10));
  ASSERT_EQ(Report("jan")->power(), v1::POWER_SUSPENDED);
  driver_.hold_moves = true;
  // The drain has not come to it yet when its person is back.
  SetSchedulability(v1::RESOURCE_KIND_HOST, "hv-a1", v1::SCHEDULABILITY_DRAINING);
  const CallId call = Come("jan");
  EXPECT_EQ(TargetOf("jan"), "hv-a2");
  EXPECT_THAT(driver_.Commands(v1::COMMAND_RESUME), IsEmpty());
  driver_.FinishMoves();
  driver_.Advance(absl::Seconds(5));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
  EXPECT_EQ(driver_.Last(call).ready().host(), "hv-a2");
  EXPECT_EQ(driver_.SessionOf("jan")->id(), session);
}

TEST_F(MovesTest, ASuspendedDesktopResumesWhereItIsWhenItCannotMove) {
  Build(1, 0);
  UpdatePool([](v1::Pool& pool) { pool.mutable_disconnect()->set_suspend_after_s(5); });
  WorkOn("hv-a1", "jan");
  LookAway("jan");
  driver_.Advance(absl::Seconds(10));
  Drain("hv-a1");
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(call).has_ready());
  EXPECT_THAT(Explained(driver_.DesktopOf("jan")->id()),
              Contains("move: resumes where it is: its site has no other host"));
}

TEST_F(MovesTest, WithoutSharedStorageTheDrainWaitsAndSaysSo) {
  Build(2, 0);
  UpdatePool([](v1::Pool& pool) { pool.clear_storage(); });
  WorkOn("hv-a1", "jan");
  Drain("hv-a1");
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Moving(), 0);
  EXPECT_THAT(Explained(driver_.DesktopOf("jan")->id()),
              Contains("move: hv-a1 is being drained; it waits there: its pool keeps its disks on "
                       "the host itself"));
}

}  // namespace
}  // namespace werkplek
