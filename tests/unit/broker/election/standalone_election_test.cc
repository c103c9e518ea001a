#include "broker/election/standalone_election.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/manual_executor.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

TEST(StandaloneElectionTest, TriesAClaimThatFailsAgainMoreAndMoreSlowly) {
  ManualExecutor executor;
  std::vector<absl::Duration> tries;
  std::vector<uint64_t> elected;
  StandaloneElection election(&executor, [&](auto done) {
    tries.push_back(executor.Monotonic());
    if (tries.size() < 9) {
      done(absl::ResourceExhaustedError("the disk is full"));
    } else {
      done(uint64_t{41});
    }
  });
  election.Start([&](uint64_t epoch) { elected.push_back(epoch); }, [] { FAIL() << "lost"; });
  executor.Advance(absl::Minutes(5));
  EXPECT_THAT(elected, ElementsAre(41));
  ASSERT_EQ(tries.size(), 9u);
  for (size_t i = 2; i < tries.size(); ++i) {
    EXPECT_GE(tries[i] - tries[i - 1], tries[i - 1] - tries[i - 2]);
    EXPECT_LE(tries[i] - tries[i - 1], absl::Seconds(5));
  }
}

TEST(StandaloneElectionTest, AStepDownBeforeTheElectionIsNothing) {
  ManualExecutor executor;
  int elected = 0;
  int lost = 0;
  StandaloneElection election(&executor, [](auto done) { done(uint64_t{1}); });
  election.StepDown();
  executor.RunUntilIdle();
  election.Start([&](uint64_t) { ++elected; }, [&] { ++lost; });
  executor.RunUntilIdle();
  EXPECT_EQ(elected, 1);
  EXPECT_EQ(lost, 0);
}

}  // namespace
}  // namespace werkplek
