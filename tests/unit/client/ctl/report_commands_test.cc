#include "client/ctl/report_commands.h"

#include <nlohmann/json.hpp>

#include "tests/unit/client/ctl/ctl_test.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ReportCommandsTest : public CtlTest {
 protected:
  static v1::WatchEvent Desktop(const std::string& id) {
    v1::WatchEvent event;
    event.mutable_desktop()->set_id(id);
    event.mutable_desktop()->set_state(v1::DESKTOP_STATE_READY);
    event.mutable_desktop()->set_host("hv-a1");
    return event;
  }
  static FakeBroker::Answer Stream(const std::vector<v1::WatchEvent>& events,
                                   grpc::Status status = grpc::Status::OK) {
    FakeBroker::Answer answer;
    for (const v1::WatchEvent& event : events) {
      answer.messages.push_back(std::make_shared<v1::WatchEvent>(event));
    }
    answer.status = std::move(status);
    return answer;
  }
  static v1::WatchEvent CaughtUp() {
    v1::WatchEvent event;
    event.set_caught_up(true);
    return event;
  }
};

TEST_F(ReportCommandsTest, PoolStatusTellsWhyAPoolMakesNoDesktops) {
  v1::ListPoolStatusResponse all;
  v1::PoolStatus* pool = all.add_pools();
  pool->set_pool("kantoor");
  pool->set_desktops(12);
  pool->set_assigned(9);
  pool->set_waiting(8);
  pool->set_breaker("5 starts in a row failed: image tiny: checksum differs");
  broker_.Reply("ListPoolStatus", all);
  const std::string out = Run({"pool", "status"}).out;
  EXPECT_THAT(out,
              HasSubstr("POOL     WORK  DESKTOPS  ASSIGNED  SPARES  STARTING  ERRORS  WAITING"));
  EXPECT_THAT(out,
              HasSubstr("kantoor makes no new desktops: 5 starts in a row failed: image tiny"));
  // The reason is whole also where the table has no room.
  EXPECT_THAT(RunAsked({"pool", "status"}, {}, 80).out, HasSubstr("checksum differs"));
}

TEST_F(ReportCommandsTest, WatchShowsWhatIsThereAndThenChanges) {
  v1::WatchEvent deleted;
  deleted.set_deleted("desktop/kantoor-1");
  v1::WatchEvent session;
  session.mutable_session()->set_id("s-1");
  session.mutable_session()->set_user("jan");
  session.mutable_session()->set_state(v1::SESSION_STATE_PENDING);
  session.mutable_session()->set_desktop("kantoor-1");
  broker_.Always("Watch", Stream({Desktop("kantoor-1"), CaughtUp(), session, deleted}));
  EXPECT_EQ(Run({"watch"}).out,
            "desktop      kantoor-1                     ready on hv-a1\n"
            "-- this is all there is; changes follow --\n"
            "session      s-1                           pending: jan on kantoor-1\n"
            "deleted      desktop/kantoor-1\n");
  EXPECT_EQ(Run({"watch", "--changes"}).out,
            "session      s-1                           pending: jan on kantoor-1\n"
            "deleted      desktop/kantoor-1\n");
  EXPECT_EQ(Run({"watch", "--limit", "1"}).out,
            "desktop      kantoor-1                     ready on hv-a1\n");
}

TEST_F(ReportCommandsTest, WatchGoesOnWhenTheStreamIsLost) {
  broker_.Once("Watch", Stream({Desktop("a"), CaughtUp(), Desktop("b")},
                               grpc::Status(grpc::StatusCode::UNAVAILABLE, "going away")));
  broker_.Always("Watch", Stream({Desktop("a"), Desktop("b"), CaughtUp(), Desktop("c")}));
  const std::string out = Run({"watch", "--changes"}).out;
  EXPECT_THAT(out, HasSubstr("desktop      b "));
  EXPECT_THAT(out, HasSubstr("desktop      c "));
  // What was there already is not told again.
  EXPECT_EQ(out.find("desktop      a "), std::string::npos);
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2);
}

TEST_F(ReportCommandsTest, WatchAsJsonIsOneLinePerEvent) {
  broker_.Always("Watch", Stream({Desktop("a"), CaughtUp()}));
  std::istringstream lines(Run({"watch", "-o", "json"}).out);
  std::vector<std::string> ids;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    ids.push_back(json.contains("desktop") ? json["desktop"]["id"].get<std::string>() : "-");
  }
  EXPECT_THAT(ids, ElementsAre("a", "-"));
}

TEST_F(ReportCommandsTest, ExplainsHostByHost) {
  v1::Explanation explanation;
  explanation.set_decision("queued");
  explanation.add_steps("no running spare");
  v1::HostVerdict* full = explanation.add_hosts();
  full->set_host("hv-a1");
  full->set_rejected_by("memory");
  full->set_reason("needs 4096 MiB, 1024 MiB free of 65536 MiB");
  v1::HostVerdict* fits = explanation.add_hosts();
  fits->set_host("hv-a2");
  fits->set_score(0.5);
  broker_.Reply("Explain", explanation);
  EXPECT_EQ(Run({"explain", "r-9"}).out,
            "decision:  queued\n"
            "decided:   -\n"
            "  - no running spare\n"
            "\n"
            "HOST   FITS        SCORE  WHY\n"
            "hv-a1  no: memory      -  needs 4096 MiB, 1024 MiB free of 65536 MiB\n"
            "hv-a2  yes          0.50  -\n");
  EXPECT_EQ(broker_.Requests<v1::ExplainRequest>("Explain").at(0).id(), "r-9");
}

TEST_F(ReportCommandsTest, ReadsTheWholeAuditOrAPart) {
  v1::ListAuditResponse first;
  first.add_entries()->set_sequence(7);
  first.mutable_entries(0)->set_actor("user:jan");
  first.mutable_entries(0)->set_action("sign-in");
  first.set_more(true);
  v1::ListAuditResponse second;
  second.add_entries()->set_sequence(8);
  broker_.Once("ListAudit", FakeBroker::Says(first));
  broker_.Reply("ListAudit", second);
  const auto json = nlohmann::json::parse(Run({"audit", "list", "--after", "6", "-o", "json"}).out);
  EXPECT_EQ(json["entries"].size(), 2);
  const auto sent = broker_.Requests<v1::ListAuditRequest>("ListAudit");
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[0].after_sequence(), 6);
  EXPECT_EQ(sent[1].after_sequence(), 7);
  EXPECT_THAT(Run({"audit", "list", "--limit", "1"}).out, HasSubstr("NUMBER  TIME"));
  EXPECT_EQ(broker_.Requests<v1::ListAuditRequest>("ListAudit").size(), 3);
}

TEST_F(ReportCommandsTest, AnAuditOnATerminalLeavesTodayOut) {
  v1::ListAuditResponse all;
  all.add_entries()->set_sequence(7);
  all.mutable_entries(0)->set_time_unix_ms(absl::ToUnixMillis(kNow));
  broker_.Reply("ListAudit", all);
  const std::string time = FormatTime(absl::ToUnixMillis(kNow));
  EXPECT_THAT(Run({"audit", "list"}).out, HasSubstr(time));
  const std::string screen = RunAsked({"audit", "list"}, {}).out;
  EXPECT_THAT(screen, HasSubstr(time.substr(11, 5)));
  EXPECT_THAT(screen, testing::Not(HasSubstr(time.substr(0, 10))));
}

TEST_F(ReportCommandsTest, ReadsPagesUntilTheLimitOfAnAudit) {
  v1::ListAuditResponse page;
  page.add_entries()->set_sequence(7);
  page.add_entries()->set_sequence(8);
  page.set_more(true);
  broker_.Once("ListAudit", FakeBroker::Says(page));
  page.mutable_entries(0)->set_sequence(9);
  page.mutable_entries()->RemoveLast();
  broker_.Reply("ListAudit", page);
  const auto json = nlohmann::json::parse(Run({"audit", "list", "--limit", "3", "-o", "json"}).out);
  EXPECT_EQ(json["entries"].size(), 3);
  const auto sent = broker_.Requests<v1::ListAuditRequest>("ListAudit");
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[0].limit(), 3);
  EXPECT_EQ(sent[1].limit(), 1);
  EXPECT_EQ(sent[1].after_sequence(), 8);
}

TEST_F(ReportCommandsTest, ReadsTheNewestOfAnAudit) {
  v1::ListAuditResponse page;
  page.add_entries()->set_sequence(1'000'001);
  page.add_entries()->set_sequence(1'000'002);
  page.set_more(true);
  broker_.Once("ListAudit", FakeBroker::Says(page));
  page.mutable_entries(0)->set_sequence(1'000'003);
  page.mutable_entries()->RemoveLast();
  broker_.Reply("ListAudit", page);
  const auto json = nlohmann::json::parse(Run({"audit", "list", "--last", "3", "-o", "json"}).out);
  EXPECT_EQ(json["entries"].size(), 3);
  const auto sent = broker_.Requests<v1::ListAuditRequest>("ListAudit");
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[0].last(), 3);
  EXPECT_EQ(sent[0].after_sequence(), 0);
  // On from there, without what was added meanwhile.
  EXPECT_EQ(sent[1].last(), 0);
  EXPECT_EQ(sent[1].after_sequence(), 1'000'002);
  EXPECT_EQ(sent[1].limit(), 1);
  for (const char* other : {"--after", "--limit"}) {
    const auto refused = Run({"audit", "list", "--last", "3", other, "5"});
    EXPECT_EQ(refused.code, ExitCode::kUsage);
    EXPECT_THAT(refused.err, HasSubstr("give --last alone"));
  }
  EXPECT_EQ(Run({"audit", "list", "--last", "0"}).code, ExitCode::kUsage);
  EXPECT_EQ(broker_.Requests<v1::ListAuditRequest>("ListAudit").size(), 2);
}

}  // namespace
}  // namespace werkplek
