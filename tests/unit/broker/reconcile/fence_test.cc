#include "broker/reconcile/fence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

using testing::HasSubstr;

class FenceTest : public testing::Test {
 protected:
  FenceTest() {
    desktop_.set_id("kantoor-1");
    desktop_.set_host("hv-a1");
    desktop_.set_generation(4);
    desktop_.set_state(v1::DESKTOP_STATE_LOST);
    desktop_.set_state_since_unix_ms(absl::ToUnixMillis(start_ + absl::Seconds(110)));
    host_.host = "hv-a1";
    host_.last_heard = start_ + absl::Seconds(100);
    host_.fence_after_ms = 10'000;
    report_.set_generation(4);
    report_.set_power(v1::POWER_OFF);
  }
  FenceVerdict Judge(absl::Duration after) {
    return JudgeFence(desktop_, {host_}, times_, start_ + after);
  }

  const absl::Time start_ = absl::FromUnixSeconds(1'700'000'000);
  FenceTimes times_{absl::Seconds(5), absl::Seconds(10), absl::Seconds(5), start_};
  v1::Desktop desktop_;
  v1::DesktopReport report_;
  FenceHostFacts host_;
};

TEST_F(FenceTest, TimeCountsFromTheLastReport) {
  EXPECT_FALSE(Judge(absl::Milliseconds(114'999)).sure());
  EXPECT_EQ(Judge(absl::Seconds(110)).sure_at, start_ + absl::Seconds(115));
  EXPECT_EQ(Judge(absl::Seconds(115)).by, "time");
}

TEST_F(FenceTest, TimeCountsFromTheLeadersStartAndTheLeaseBefore) {
  for (const absl::Time heard : {absl::InfinitePast(), start_ + absl::Seconds(3)}) {
    host_.last_heard = heard;
    EXPECT_EQ(Judge(absl::Seconds(1)).sure_at, start_ + absl::Seconds(20));
    EXPECT_FALSE(Judge(absl::Milliseconds(19'999)).sure());
    EXPECT_EQ(Judge(absl::Seconds(20)).by, "time");
  }
}

TEST_F(FenceTest, TimeSaysNothingOfAnAgentThatIsNotKnownToStopInTime) {
  host_.fence_after_ms = 0;
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
  EXPECT_THAT(Judge(absl::Hours(1)).reason, HasSubstr("not known to stop it by itself"));
  host_.fence_after_ms = 10'001;
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
  EXPECT_THAT(Judge(absl::Hours(1)).reason, HasSubstr("longer than this broker's fence_after"));
}

TEST_F(FenceTest, AHostThatAnswersIsBelieved) {
  host_.answers = true;
  EXPECT_EQ(Judge(absl::Seconds(101)).by, "agent") << "it has none";
  host_.report = &report_;
  EXPECT_EQ(Judge(absl::Seconds(101)).by, "agent") << "it is off";
  report_.set_generation(3);
  EXPECT_EQ(Judge(absl::Seconds(101)).by, "agent") << "the newer one never came";
  report_.set_power(v1::POWER_RUNNING);
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
  report_.set_generation(4);
  report_.set_power(v1::POWER_SUSPENDED);
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
  report_.set_power(v1::POWER_OFF);
  report_.set_operation(v1::COMMAND_START);
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
  report_.clear_operation();
  report_.set_generation(5);
  EXPECT_FALSE(Judge(absl::Hours(1)).sure());
}

TEST_F(FenceTest, AStartThatWasJustSentMayStillBeObeyed) {
  host_.answers = true;
  host_.report = &report_;
  host_.last_start = start_ + absl::Seconds(100);
  EXPECT_FALSE(Judge(absl::Seconds(114)).sure());
  EXPECT_EQ(Judge(absl::Seconds(115)).by, "agent");
  // A generation that the agent fenced never runs again.
  report_.set_fenced(true);
  EXPECT_EQ(Judge(absl::Seconds(101)).by, "agent");
}

TEST_F(FenceTest, TheCommandMustHaveBeenAskedForThisLoss) {
  host_.fence_after_ms = 0;
  host_.switched_off = start_ + absl::Seconds(109);
  EXPECT_FALSE(Judge(absl::Seconds(112)).sure());
  host_.switched_off = start_ + absl::Seconds(110);
  EXPECT_EQ(Judge(absl::Seconds(112)).by, "fence command");
}

TEST_F(FenceTest, WhileItMovesItMustHoldForBothHosts) {
  FenceHostFacts target = host_;
  target.host = "hv-a2";
  target.last_heard = start_ + absl::Seconds(104);
  const auto judge = [&](absl::Duration after) {
    return JudgeFence(desktop_, {host_, target}, times_, start_ + after);
  };
  EXPECT_FALSE(judge(absl::Seconds(116)).sure());
  EXPECT_EQ(judge(absl::Seconds(110)).sure_at, start_ + absl::Seconds(119));
  EXPECT_EQ(judge(absl::Seconds(119)).by, "time");
  target.answers = true;
  report_.set_power(v1::POWER_RUNNING);
  target.report = &report_;
  EXPECT_FALSE(judge(absl::Hours(1)).sure());
  target.report = nullptr;
  EXPECT_EQ(judge(absl::Seconds(115)).by, "time") << "the weaker of the two is told";
}

TEST(FenceRetryTest, BacksOffAndStaysBounded) {
  EXPECT_EQ(FenceRetryAfter(0), absl::Seconds(10));
  EXPECT_EQ(FenceRetryAfter(1), absl::Seconds(20));
  EXPECT_EQ(FenceRetryAfter(100), absl::Minutes(5));
}

}  // namespace
}  // namespace werkplek
