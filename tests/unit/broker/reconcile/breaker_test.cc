#include "broker/reconcile/breaker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1000);
constexpr absl::Duration kProbe = absl::Seconds(30);

TEST(BreakerTest, OpensAtTheLimitOnceAndSaysWhy) {
  Breaker breaker;
  EXPECT_FALSE(breaker.Failed(3, "one", kProbe, kNow));
  EXPECT_FALSE(breaker.Failed(3, "two", kProbe, kNow));
  EXPECT_FALSE(breaker.tripped());
  EXPECT_TRUE(breaker.Failed(3, "no space left", kProbe, kNow));
  EXPECT_TRUE(breaker.tripped());
  EXPECT_EQ(breaker.reason(), "3 starts in a row failed, the last one: no space left");
  EXPECT_FALSE(breaker.Failed(3, "again", kProbe, kNow));
  EXPECT_EQ(breaker.failures(), 4u);
  EXPECT_THAT(breaker.reason(), testing::HasSubstr("again"));
}

TEST(BreakerTest, LetsOneProbeThroughNowAndThen) {
  Breaker breaker;
  EXPECT_FALSE(breaker.ProbeDue(kNow));
  breaker.Failed(1, "x", kProbe, kNow);
  EXPECT_FALSE(breaker.ProbeDue(kNow + absl::Seconds(29)));
  EXPECT_TRUE(breaker.ProbeDue(kNow + absl::Seconds(30)));
  breaker.Probed(kProbe, kNow + absl::Seconds(30));
  EXPECT_FALSE(breaker.ProbeDue(kNow + absl::Seconds(59)));
  EXPECT_TRUE(breaker.ProbeDue(kNow + absl::Seconds(60)));
}

TEST(BreakerTest, ClosesAndCountsAnew) {
  Breaker breaker;
  breaker.Failed(2, "x", kProbe, kNow);
  EXPECT_FALSE(breaker.Close());
  EXPECT_EQ(breaker.failures(), 0u);
  breaker.Failed(2, "x", kProbe, kNow);
  EXPECT_FALSE(breaker.tripped());
  breaker.Failed(2, "x", kProbe, kNow);
  EXPECT_TRUE(breaker.Close());
  EXPECT_FALSE(breaker.tripped());
  EXPECT_EQ(breaker.reason(), "");
}

TEST(BreakerTest, OneFailureIsNotARow) {
  Breaker breaker;
  EXPECT_TRUE(breaker.Failed(1, "no space left", kProbe, kNow));
  EXPECT_EQ(breaker.reason(), "a start failed: no space left");
}

TEST(BreakerTest, AFaultOpensItForAsLongAsItIsThere) {
  Breaker breaker;
  EXPECT_FALSE(breaker.SetFault(""));
  EXPECT_TRUE(breaker.SetFault("the image failed"));
  EXPECT_TRUE(breaker.tripped());
  EXPECT_TRUE(breaker.faulty());
  EXPECT_EQ(breaker.reason(), "the image failed");
  EXPECT_FALSE(breaker.SetFault("the image failed elsewhere too"));
  EXPECT_FALSE(breaker.Close()) << "a start that worked does not mend the image";
  EXPECT_TRUE(breaker.tripped());
  EXPECT_TRUE(breaker.SetFault(""));
  EXPECT_FALSE(breaker.tripped());
}

TEST(BreakerTest, FailedStartsOutliveTheFault) {
  Breaker breaker;
  breaker.SetFault("the image failed");
  EXPECT_FALSE(breaker.Failed(1, "x", kProbe, kNow)) << "it was open already";
  EXPECT_EQ(breaker.reason(), "the image failed");
  EXPECT_FALSE(breaker.ProbeDue(kNow + absl::Seconds(29)));
  EXPECT_FALSE(breaker.SetFault(""));
  EXPECT_EQ(breaker.reason(), "a start failed: x");
  EXPECT_TRUE(breaker.Close());
}

}  // namespace
}  // namespace werkplek
