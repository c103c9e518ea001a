#include "client/ctl/work_commands.h"

#include <nlohmann/json.hpp>

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class WorkCommandsTest : public CtlTest {
 protected:
  static v1::DesktopStatus Desktop() {
    v1::DesktopStatus status;
    v1::Desktop* desktop = status.mutable_desktop();
    desktop->set_id("kantoor-7f3a");
    desktop->set_pool("kantoor");
    desktop->set_host("hv-a1");
    desktop->set_state(v1::DESKTOP_STATE_ASSIGNED);
    desktop->set_generation(4);
    desktop->set_wanted_power(v1::POWER_RUNNING);
    desktop->set_state_since_unix_ms(absl::ToUnixMillis(kNow - absl::Minutes(90)));
    desktop->set_last_error("agent: \x1b[31mtimed out");
    status.set_host_liveness(v1::LIVENESS_SUSPECT);
    status.set_viewer_connected(true);
    status.set_user("jan");
    return status;
  }
  static v1::Session Session(v1::SessionState state) {
    v1::Session session;
    session.set_id("s-1");
    session.set_user("jan");
    session.set_pool("kantoor");
    session.set_desktop("kantoor-7f3a");
    session.set_generation(4);
    session.set_state(state);
    session.set_client("client/tc-017");
    session.set_created_unix_ms(absl::ToUnixMillis(kNow - absl::Hours(2)));
    session.set_state_since_unix_ms(absl::ToUnixMillis(kNow - absl::Seconds(30)));
    session.mutable_explanation()->set_decision("running spare");
    session.mutable_explanation()->add_steps("no session of jan");
    return session;
  }
};

TEST_F(WorkCommandsTest, ListsDesktopsWithFilters) {
  v1::ListDesktopsResponse all;
  *all.add_desktops() = Desktop();
  broker_.Reply("ListDesktops", all);
  EXPECT_EQ(Run({"desktop", "list", "--pool", "kantoor", "--host", "hv-a1"}).out,
            "DESKTOP       POOL     HOST   STATE     POWER    USER  SCREEN  SINCE   ERROR\n"
            "kantoor-7f3a  kantoor  hv-a1  assigned  unknown  jan   open    1h 30m  "
            "agent: ?[31mtimed out\n");
  const auto sent = broker_.Requests<v1::ListDesktopsRequest>("ListDesktops").at(0);
  EXPECT_EQ(sent.pool(), "kantoor");
  EXPECT_EQ(sent.host(), "hv-a1");
  broker_.Reply("ListDesktops", v1::ListDesktopsResponse());
  EXPECT_EQ(Run({"desktop", "list"}).out, "There is no such desktop.\n");
}

TEST_F(WorkCommandsTest, ShowsWhatAHostSaysToBeWrongNow) {
  v1::DesktopStatus stopped = Desktop();
  stopped.set_reported_error("no room where its disk \x1b[31mis");
  v1::ListDesktopsResponse all;
  *all.add_desktops() = stopped;
  broker_.Reply("ListDesktops", all);
  const std::string list = Run({"desktop", "list"}).out;
  EXPECT_THAT(list, HasSubstr("1h 30m  no room where its disk ?[31mis\n"));
  EXPECT_THAT(list, testing::Not(HasSubstr("timed out")));
  broker_.Reply("GetDesktop", stopped);
  const std::string get = Run({"desktop", "get", "kantoor-7f3a"}).out;
  EXPECT_THAT(get, testing::ContainsRegex("last error: +agent: .*timed out\n"));
  EXPECT_THAT(get, testing::ContainsRegex("host says: +no room where its disk .*is\n"));
}

TEST_F(WorkCommandsTest, TablesFitTheTerminal) {
  v1::ListDesktopsResponse all;
  *all.add_desktops() = Desktop();
  all.mutable_desktops(0)->mutable_desktop()->set_id("kantoor-7f3a0c42");
  all.mutable_desktops(0)->mutable_desktop()->set_last_error(std::string(100, 'x'));
  broker_.Reply("ListDesktops", all);
  for (const int width : {80, 100}) {
    const std::string screen = RunAsked({"desktop", "list"}, {}, width).out;
    // What the next command is given stands there whole.
    EXPECT_THAT(screen, HasSubstr("kantoor-7f3a0c42 "));
    EXPECT_THAT(screen,
                HasSubstr(width == 80 ? "Left out, for want of width: ERROR (-o json" : "…"));
    std::istringstream lines(screen);
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      EXPECT_LE(DisplayWidth(line), width) << line;
    }
  }
}

TEST_F(WorkCommandsTest, ShowsOneDesktop) {
  broker_.Reply("GetDesktop", Desktop());
  const std::string out = Run({"desktop", "get", "kantoor-7f3a"}).out;
  EXPECT_THAT(out, HasSubstr("host:        hv-a1 (suspect)\n"));
  EXPECT_THAT(out, HasSubstr("power:       unknown, wanted running\n"));
  EXPECT_THAT(out, HasSubstr("clean:       no proof\n"));
  EXPECT_THAT(out, HasSubstr("user:        jan\n"));
}

TEST_F(WorkCommandsTest, AResetSaysWhomItHurtsAndAsks) {
  broker_.Reply("GetDesktop", Desktop());
  v1::DesktopStatus after = Desktop();
  after.mutable_desktop()->set_state(v1::DESKTOP_STATE_RESETTING);
  broker_.Reply("ResetDesktop", after);
  EXPECT_EQ(Run({"desktop", "reset", "kantoor-7f3a"}).code, ExitCode::kUsage);
  EXPECT_TRUE(broker_.Requests<v1::ResetDesktopRequest>("ResetDesktop").empty());
  const Result asked = RunAsked({"desktop", "reset", "kantoor-7f3a"}, {{"[y/N] ", "y\n"}}, 200);
  EXPECT_EQ(asked.code, ExitCode::kOk);
  EXPECT_THAT(asked.out, HasSubstr("This ends the session of jan, who loses open work."));
  EXPECT_THAT(asked.out, HasSubstr("desktop kantoor-7f3a is resetting"));
  EXPECT_EQ(Run({"desktop", "reset", "kantoor-7f3a", "-y"}).code, ExitCode::kOk);
}

TEST_F(WorkCommandsTest, ADeletionSaysWhoseWorkIsLost) {
  v1::DesktopStatus kept = Desktop();
  kept.clear_user();
  kept.mutable_desktop()->set_owner("piet");
  broker_.Reply("GetDesktop", kept);
  broker_.Reply("ResetDesktop", kept);
  const Result asked = RunAsked({"desktop", "delete", "kantoor-7f3a"}, {{"[y/N] ", "y\n"}}, 200);
  EXPECT_EQ(asked.code, ExitCode::kOk);
  EXPECT_THAT(asked.out, HasSubstr("desktop kantoor-7f3a? Everything that piet keeps on it"));
  EXPECT_TRUE(broker_.Requests<v1::ResetDesktopRequest>("ResetDesktop").at(0).remove());
}

TEST_F(WorkCommandsTest, AssignsADedicatedDesktop) {
  broker_.Reply("AssignDesktop", Desktop());
  EXPECT_EQ(Run({"desktop", "assign", "piet"}).code, ExitCode::kUsage);
  const Result result = Run({"desktop", "assign", "piet", "--pool", "eigen"});
  EXPECT_EQ(result.out, "desktop kantoor-7f3a is kept for piet\n");
  const auto sent = broker_.Requests<v1::AssignDesktopRequest>("AssignDesktop").at(0);
  EXPECT_EQ(sent.user(), "piet");
  EXPECT_EQ(sent.pool(), "eigen");
  EXPECT_NE(sent.request_id(), "");
}

TEST_F(WorkCommandsTest, AFenceIsOverriddenWithAReasonAfterAQuestion) {
  v1::DesktopStatus lost = Desktop();
  lost.mutable_desktop()->set_generation(7);
  lost.set_fence("unknown: host hv-a1 is silent");
  broker_.Reply("GetDesktop", lost);
  broker_.Reply("OverrideFence", lost);
  const std::vector<std::string> words = {"desktop", "override-fence", "kantoor-7f3a", "--reason",
                                          "the plug is in my hand"};
  EXPECT_EQ(Run({"desktop", "override-fence", "kantoor-7f3a", "-y"}).code, ExitCode::kUsage);
  EXPECT_NE(Run(words).code, ExitCode::kOk);
  EXPECT_TRUE(broker_.Requests<v1::OverrideFenceRequest>("OverrideFence").empty());
  const Result asked = RunAsked(words, {{"[y/N] ", "y\n"}}, 400);
  EXPECT_EQ(asked.code, ExitCode::kOk) << asked.out;
  EXPECT_THAT(asked.out, HasSubstr("generation 7, does not run on host hv-a1 any more?"));
  const auto sent = broker_.Requests<v1::OverrideFenceRequest>("OverrideFence").at(0);
  EXPECT_EQ(sent.generation(), 7u);
  EXPECT_EQ(sent.reason(), "the plug is in my hand");
}

TEST_F(WorkCommandsTest, ListsSessions) {
  v1::ListSessionsResponse all;
  *all.add_sessions() = Session(v1::SESSION_STATE_ACTIVE);
  broker_.Reply("ListSessions", all);
  EXPECT_EQ(Run({"session", "list", "--user", "jan", "--ended"}).out,
            "SESSION  USER  POOL     DESKTOP       STATE   SINCE  AGE    CLIENT         ENDED BY\n"
            "s-1      jan   kantoor  kantoor-7f3a  active  30s    2h 0m  client/tc-017  -\n");
  const auto sent = broker_.Requests<v1::ListSessionsRequest>("ListSessions").at(0);
  EXPECT_EQ(sent.user(), "jan");
  EXPECT_TRUE(sent.ended());
}

TEST_F(WorkCommandsTest, ShowsASessionWithItsExplanation) {
  broker_.Reply("GetSession", Session(v1::SESSION_STATE_ACTIVE));
  const std::string out = Run({"session", "get", "s-1"}).out;
  EXPECT_THAT(out, HasSubstr("desktop:  kantoor-7f3a, generation 4\n"));
  EXPECT_THAT(out, HasSubstr("decision:  running spare\n"));
  EXPECT_THAT(out, HasSubstr("  - no session of jan\n"));
}

TEST_F(WorkCommandsTest, EndsASessionWithAReason) {
  broker_.Reply("GetSession", Session(v1::SESSION_STATE_ACTIVE));
  broker_.Reply("EndAnySession", Session(v1::SESSION_STATE_ENDING));
  EXPECT_EQ(RunAsked({"session", "end", "s-1"}, {{"[y/N] ", "\n"}}, 200).code,
            ExitCode::kInterrupted);
  const Result result = Run({"session", "end", "s-1", "--reason", "by telephone", "--yes"});
  EXPECT_EQ(result.out, "session s-1 is ending\n");
  const auto sent = broker_.Requests<v1::EndAnySessionRequest>("EndAnySession");
  ASSERT_EQ(sent.size(), 1);
  EXPECT_EQ(sent[0].session(), "s-1");
  EXPECT_EQ(sent[0].reason(), "by telephone");
  EXPECT_EQ(sent[0].request_id().size(), 32);
}

TEST_F(WorkCommandsTest, AnUnknownDesktopSaysWhereToLook) {
  broker_.Always("GetDesktop", FakeBroker::Fails(grpc::StatusCode::NOT_FOUND, "no desktop x"));
  const Result result = Run({"desktop", "get", "x"});
  EXPECT_EQ(result.code, ExitCode::kRefused);
  EXPECT_EQ(result.err,
            "werkplekctl: no desktop x\nSee what there is with: werkplekctl desktop list\n");
}

}  // namespace
}  // namespace werkplek
