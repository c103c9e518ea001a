#include "broker/directory/gathering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr absl::Duration kNow = absl::Seconds(100);

TEST(GatheringTest, NobodyWaitsWhenOthersAreNotLikely) {
  Gathering gathering;
  gathering.Add(1, kNow);
  gathering.Add(2, kNow);
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/false), ElementsAre(1, 2));
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/false), IsEmpty());
}

TEST(GatheringTest, TheFirstWaitsAMomentAndTheOthersGoWithIt) {
  Gathering gathering;
  EXPECT_EQ(gathering.Rest(kNow), absl::InfiniteDuration());
  gathering.Add(1, kNow);
  gathering.Add(2, kNow + kGatherFor / 2);
  const absl::Duration before = kNow + kGatherFor - absl::Nanoseconds(1);
  EXPECT_THAT(gathering.Take(before, /*busy=*/true), IsEmpty());
  EXPECT_EQ(gathering.Rest(before), absl::Nanoseconds(1));
  EXPECT_EQ(gathering.Rest(kNow + kGatherFor), absl::ZeroDuration());
  EXPECT_EQ(gathering.Rest(kNow + 2 * kGatherFor), absl::ZeroDuration());
  EXPECT_THAT(gathering.Take(kNow + kGatherFor, /*busy=*/true), ElementsAre(1, 2));
  EXPECT_EQ(gathering.Rest(kNow + kGatherFor), absl::InfiniteDuration());
  // The next begins to wait anew.
  gathering.Add(3, kNow + kGatherFor);
  EXPECT_THAT(gathering.Take(kNow + kGatherFor, /*busy=*/true), IsEmpty());
}

TEST(GatheringTest, AFullSearchGoesAtOnceAndTheRestWaitsOn) {
  Gathering gathering;
  for (uint64_t call = 0; call < kPeoplePerSearch + 1; ++call) gathering.Add(call, kNow);
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/true), SizeIs(kPeoplePerSearch));
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/true), IsEmpty());
  EXPECT_THAT(gathering.Take(kNow + kGatherFor, /*busy=*/true), ElementsAre(kPeoplePerSearch));
}

TEST(GatheringTest, OneSearchIsBounded) {
  Gathering gathering;
  for (uint64_t call = 0; call < 2 * kPeoplePerSearch + 3; ++call) gathering.Add(call, kNow);
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/false), SizeIs(kPeoplePerSearch));
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/false), SizeIs(kPeoplePerSearch));
  EXPECT_THAT(gathering.Take(kNow, /*busy=*/false), SizeIs(3));
}

}  // namespace
}  // namespace werkplek
