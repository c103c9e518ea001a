#include "client/login/progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace werkplek {
namespace {

v1::ConnectUpdate Queued(uint32_t position, int64_t deadline_ms) {
  v1::ConnectUpdate update;
  update.mutable_queued()->set_position(position);
  update.mutable_queued()->set_deadline_unix_ms(deadline_ms);
  return update;
}

TEST(DescribeStage, SaysEachStageInBothLanguages) {
  const absl::Time now = absl::FromUnixMillis(1'000'000);
  EXPECT_EQ(DescribeStage(Queued(3, 1'150'000), now, Language::kEnglish),
            "Waiting for a desktop: position 3, at most 2m 30s longer");
  EXPECT_EQ(DescribeStage(Queued(3, 1'150'000), now, Language::kDutch),
            "Wachten op een bureaublad: plaats 3, hooguit nog 2m 30s");
  v1::ConnectUpdate update;
  update.mutable_starting()->set_desktop("k-1");
  EXPECT_EQ(DescribeStage(update, now, Language::kEnglish), "Starting k-1");
  update.mutable_preparing()->set_desktop("k-1");
  EXPECT_EQ(DescribeStage(update, now, Language::kEnglish), "Preparing k-1 for you");
  update.mutable_ready()->set_desktop("k-1");
  EXPECT_EQ(DescribeStage(update, now, Language::kEnglish), "Opening the screen of k-1");
  update.mutable_ready()->set_resumed(true);
  EXPECT_EQ(DescribeStage(update, now, Language::kEnglish), "Resuming your session on k-1");
  update.mutable_refused()->set_rule("pool-full");
  EXPECT_EQ(DescribeStage(update, now, Language::kEnglish), "");
  EXPECT_EQ(DescribeStage(v1::ConnectUpdate(), now, Language::kEnglish), "");
}

TEST(DescribeStage, NamesCannotSteerTheTerminal) {
  v1::ConnectUpdate update;
  update.mutable_starting()->set_desktop("k\x1b[2J");
  EXPECT_EQ(DescribeStage(update, absl::UnixEpoch(), Language::kEnglish), "Starting k?[2J");
}

TEST(DescribeStage, SaysWhatTheWaitForAnOwnDesktopIsFor) {
  const absl::Time now = absl::FromUnixMillis(1'000'000);
  v1::ConnectUpdate update = Queued(1, 1'150'000);
  v1::Explanation& explanation = *update.mutable_queued()->mutable_explanation();
  explanation.add_steps("own session: none in this pool");
  explanation.add_steps("4 of 4 desktops");
  EXPECT_EQ(DescribeStage(update, now, Language::kDutch),
            "Wachten op een bureaublad: plaats 1, hooguit nog 2m 30s");
  explanation.clear_steps();
  explanation.add_steps("own desktop: gis-1, off on hv-a1");
  explanation.add_steps("its host hv-a1 has not reported lately");
  EXPECT_EQ(DescribeStage(update, now, Language::kDutch),
            "Wachten op je bureaublad, hooguit nog 2m 30s. Voor de helpdesk: own desktop: gis-1, "
            "off on hv-a1; its host hv-a1 has not reported lately");
}

// All that the broker says (broker/core/connect.cc, dedicated.cc).
TEST(DescribeRule, KnowsEveryRuleInBothLanguages) {
  for (const char* rule : {"no-entitlement", "pool-full", "queue-full", "deadline", "pool-draining",
                           "pool-maintenance", "pool-broken", "site-braked", "site-open",
                           "site-loss", "host-open", "host-silent", "start-failed"}) {
    const std::string dutch = DescribeRule(rule, Language::kDutch);
    EXPECT_NE(dutch, DescribeRule(rule, Language::kEnglish)) << rule;
    EXPECT_NE(dutch, DescribeRule("moon-phase", Language::kDutch)) << rule;
    EXPECT_EQ(dutch.find(rule), std::string::npos) << dutch;
  }
  EXPECT_EQ(DescribeRule("moon-phase", Language::kDutch), "de broker geeft er geen (moon-phase).");
}

TEST(DescribeRefusal, TranslatesKnownRulesAndKeepsTheBrokersReasons) {
  v1::Refused refused;
  refused.set_rule("pool-full");
  refused.add_reasons("12 of 12 desktops are in use");
  refused.add_reasons("site b is lost");
  refused.set_explain_id("x-42");
  EXPECT_EQ(DescribeRefusal(refused, "kantoor", Language::kDutch),
            "Geen bureaublad uit kantoor: alle bureaubladen zijn bezet; probeer het later.\n"
            "Voor de helpdesk: 12 of 12 desktops are in use; site b is lost\n"
            "De helpdesk kan zien waarom met het nummer x-42.");
}

TEST(DescribeRefusal, ShowsAnUnknownRuleAndItsReason) {
  v1::Refused refused;
  refused.set_rule("moon-phase");
  refused.add_reasons("not tonight");
  EXPECT_EQ(DescribeRefusal(refused, "kantoor", Language::kEnglish),
            "No desktop of kantoor: the broker gives none (moon-phase).\n"
            "For the help desk: not tonight");
  refused.clear_reasons();
  EXPECT_EQ(DescribeRefusal(refused, "kantoor", Language::kEnglish),
            "No desktop of kantoor: the broker gives none (moon-phase).");
}

TEST(ProgressLine, WritesALineForEachNewText) {
  std::ostringstream out;
  {
    ProgressLine line(out, 0);
    line.Show("one");
    line.Show("one");
    line.Show("");
    line.Show("two");
  }
  EXPECT_EQ(out.str(), "one\ntwo\n");
}

TEST(ProgressLine, WritesOverOneLineOnATerminalAndTakesItAway) {
  std::ostringstream out;
  {
    ProgressLine line(out, 20);
    line.Show("a text that is too long for it");
    line.Show("two");
  }
  EXPECT_EQ(out.str(), "\ra text that is too…\x1b[K\rtwo\x1b[K\r\x1b[K");
}

}  // namespace
}  // namespace werkplek
