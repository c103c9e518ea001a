#include "agent/link/broker_plan.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace werkplek {
namespace {

constexpr uint8_t kNoSpread = 255;

BrokerLinkSettings Settings(std::vector<std::string> brokers = {"a", "b", "c"}) {
  BrokerLinkSettings settings;
  settings.brokers = std::move(brokers);
  return settings;
}

v1::AgentCommand Heard(absl::Duration fence_after, absl::Duration report_interval) {
  v1::AgentCommand command;
  command.set_verb(v1::COMMAND_HEARD);
  command.set_fence_after_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(fence_after)));
  command.set_report_interval_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(report_interval)));
  return command;
}
v1::AgentCommand Heard() { return Heard(absl::Seconds(10), absl::Seconds(1)); }

class BrokerPlanTest : public testing::Test {
 protected:
  // Tries the next broker, which is heard when `heard`, and ends so.
  std::string Try(bool heard, const std::string& leader = "", bool silent = false) {
    const std::string broker = plan_->Begin(absl::ZeroDuration());
    if (heard) plan_->Heard(Heard(), absl::ZeroDuration());
    plan_->Ended({.broker = broker, .leader = leader, .silent = silent}, kNoSpread);
    return broker;
  }

  std::optional<BrokerPlan> plan_{Settings()};
};

TEST_F(BrokerPlanTest, BrokersHaveTheirTurnAndPausesDouble) {
  const std::vector<std::pair<std::string, absl::Duration>> expected = {
      {"a", absl::Milliseconds(200)},  {"b", absl::Milliseconds(400)},
      {"c", absl::Milliseconds(800)},  {"a", absl::Milliseconds(1600)},
      {"b", absl::Milliseconds(3200)}, {"c", absl::Seconds(5)},
      {"a", absl::Seconds(5)}};
  for (const auto& [broker, pause] : expected) {
    EXPECT_EQ(plan_->Begin(absl::ZeroDuration()), broker);
    EXPECT_EQ(plan_->Ended({.broker = broker}, kNoSpread), pause);
  }
  EXPECT_EQ(plan_->Begin(absl::ZeroDuration()), "b");
  EXPECT_EQ(plan_->Ended({.broker = "b"}, 0), absl::Milliseconds(2500));
}

TEST_F(BrokerPlanTest, ALeaderThatEndedTheStreamIsTriedOnceMore) {
  EXPECT_EQ(Try(/*heard=*/true), "a");
  EXPECT_EQ(Try(/*heard=*/false), "a");
  EXPECT_EQ(Try(/*heard=*/false), "b");
}

TEST_F(BrokerPlanTest, ALeaderThatFellSilentHasItsTurnAfterTheOthers) {
  EXPECT_EQ(Try(/*heard=*/true, "", /*silent=*/true), "a");
  EXPECT_EQ(Try(/*heard=*/false), "b");
  EXPECT_EQ(Try(/*heard=*/false), "c");
  EXPECT_EQ(Try(/*heard=*/false), "a");
}

TEST_F(BrokerPlanTest, TheSilentLeaderIsNotNextAlsoWhenAnotherNamedIt) {
  EXPECT_EQ(Try(/*heard=*/false, /*leader=*/"b"), "a");
  // The list's next would be itself.
  EXPECT_EQ(Try(/*heard=*/true, "", /*silent=*/true), "b");
  EXPECT_EQ(Try(/*heard=*/false), "c");
}

TEST_F(BrokerPlanTest, AFollowerThatStillNamesTheDeadLeaderIsAskedAgainSoon) {
  plan_.emplace(Settings({"a", "b"}));
  EXPECT_EQ(Try(/*heard=*/true, "", /*silent=*/true), "a");
  EXPECT_EQ(Try(/*heard=*/false, /*leader=*/"a"), "b");
  EXPECT_EQ(Try(/*heard=*/false), "a");
  EXPECT_EQ(Try(/*heard=*/true), "b");
}

TEST_F(BrokerPlanTest, AnOnlyBrokerIsTriedAgain) {
  plan_.emplace(Settings({"a"}));
  EXPECT_EQ(Try(/*heard=*/true, "", /*silent=*/true), "a");
  EXPECT_EQ(Try(/*heard=*/false), "a");
  EXPECT_EQ(Try(/*heard=*/false), "a");
}

TEST_F(BrokerPlanTest, BrokersThatSendItRoundAreNotFollowedForEver) {
  EXPECT_EQ(Try(/*heard=*/false, "x"), "a");
  EXPECT_EQ(Try(/*heard=*/false, "y"), "x");
  EXPECT_EQ(Try(/*heard=*/false, "x"), "y");
  EXPECT_EQ(Try(/*heard=*/false, "y"), "x");
  EXPECT_EQ(Try(/*heard=*/false), "b");
}

TEST_F(BrokerPlanTest, AnAttemptIsShortAndAHeardLeaderHasLonger) {
  plan_->Begin(absl::Seconds(100));
  EXPECT_EQ(plan_->silent_at(), absl::Seconds(102));
  plan_->Heard(Heard(), absl::Seconds(101));
  EXPECT_EQ(plan_->silent_at(), absl::Seconds(105));
  // Any word counts, and the limit stays.
  plan_->Heard(v1::AgentCommand(), absl::Seconds(103));
  EXPECT_EQ(plan_->silent_at(), absl::Seconds(107));
  // The next attempt is one, too.
  plan_->Ended({.broker = "a", .silent = true}, kNoSpread);
  plan_->Begin(absl::Seconds(108));
  EXPECT_EQ(plan_->silent_at(), absl::Seconds(110));
}

TEST_F(BrokerPlanTest, TheLimitFollowsTheFenceAndTheReports) {
  plan_->Begin(absl::ZeroDuration());
  const auto limit_of = [this](absl::Duration fence_after, absl::Duration report_interval) {
    plan_->Heard(Heard(fence_after, report_interval), absl::ZeroDuration());
    return plan_->limit();
  };
  EXPECT_EQ(limit_of(absl::Seconds(10), absl::Seconds(1)), absl::Seconds(4));
  EXPECT_EQ(limit_of(absl::Seconds(8), absl::Seconds(1)), absl::Milliseconds(3200));
  // The new leader waits for hosts, however late their fence is.
  EXPECT_EQ(limit_of(absl::Minutes(10), absl::Seconds(1)), absl::Seconds(4));
  // A leader that hears seldom speaks seldom.
  EXPECT_EQ(limit_of(absl::Seconds(20), absl::Seconds(3)), absl::Seconds(9));
  EXPECT_EQ(limit_of(absl::Seconds(2), absl::Milliseconds(100)), absl::Milliseconds(800));
}

TEST_F(BrokerPlanTest, WhoCameInVainWaitsLongerForTheNextAnswer) {
  std::vector<absl::Duration> limits;
  for (int i = 0; i < 8; ++i) {
    plan_->Begin(absl::ZeroDuration());
    limits.push_back(plan_->limit());
    plan_->Ended({.broker = "x", .silent = true}, kNoSpread);
  }
  const std::vector<absl::Duration> expected = {
      absl::Seconds(2),         absl::Seconds(2),         absl::Seconds(2),  absl::Seconds(2),
      absl::Milliseconds(3200), absl::Milliseconds(6400), absl::Seconds(10), absl::Seconds(10)};
  EXPECT_EQ(limits, expected);
  plan_->Heard(Heard(), absl::ZeroDuration());
  plan_->Ended({.broker = "x"}, kNoSpread);
  plan_->Begin(absl::ZeroDuration());
  EXPECT_EQ(plan_->limit(), absl::Seconds(2));
}

}  // namespace
}  // namespace werkplek
