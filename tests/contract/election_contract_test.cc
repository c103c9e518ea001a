// What every Election promises, run on the fake and on each real one.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/election/standalone_election.h"
#include "broker/store/memory_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_election.h"
#include "tests/support/manual_executor.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

LeaderInfo Own() { return {0, "b1", "127.0.0.1:1", "127.0.0.1:2"}; }

struct Kind {
  std::string name;
  // The store gives epochs where a real election needs one.
  std::function<std::unique_ptr<Election>(Executor*, MemoryStore*)> make;
};

class ElectionContract : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override { election_ = GetParam().make(&executor_, &store_); }
  void Start() {
    election_->Start([this](uint64_t epoch) { heard_.push_back(absl::StrCat("elected ", epoch)); },
                     [this] { heard_.push_back("lost"); });
  }
  ManualExecutor executor_;
  MemoryStore store_{&executor_};
  std::unique_ptr<Election> election_;
  std::vector<std::string> heard_;
};

TEST_P(ElectionContract, ElectsOnceAndNotFromWithinStart) {
  Start();
  EXPECT_THAT(heard_, IsEmpty());
  executor_.Advance(absl::Minutes(10));
  EXPECT_THAT(heard_, ElementsAre("elected 1"));
}

TEST_P(ElectionContract, AStepDownLosesThenElectsUnderAHigherEpoch) {
  Start();
  executor_.Advance(absl::Seconds(1));
  election_->StepDown();
  EXPECT_EQ(heard_.size(), 1u) << "told from within StepDown";
  executor_.Advance(absl::Seconds(10));
  election_->StepDown();
  executor_.Advance(absl::Seconds(10));
  EXPECT_THAT(heard_, ElementsAre("elected 1", "lost", "elected 2", "lost", "elected 3"));
}

TEST_P(ElectionContract, SaysNothingAfterStop) {
  Start();
  election_->Stop();
  executor_.Advance(absl::Minutes(1));
  EXPECT_THAT(heard_, IsEmpty());
}

TEST_P(ElectionContract, SaysNothingAfterStopOfALeader) {
  Start();
  executor_.Advance(absl::Seconds(1));
  election_->StepDown();
  election_->Stop();
  executor_.Advance(absl::Minutes(1));
  EXPECT_THAT(heard_, ElementsAre("elected 1"));
}

TEST_P(ElectionContract, MayGoWhileNewsIsUnderWay) {
  Start();
  election_.reset();
  executor_.Advance(absl::Minutes(1));
  EXPECT_THAT(heard_, IsEmpty());
}

TEST_P(ElectionContract, TellsWhoLeads) {
  std::vector<std::string> leaders;
  election_->WatchLeader([&leaders](const LeaderInfo& leader) {
    leaders.push_back(absl::StrCat(leader.epoch, " ", leader.name, " ", leader.client_address, " ",
                                   leader.agent_address));
  });
  EXPECT_EQ(election_->leader(), LeaderInfo{});
  Start();
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(election_->leader(), (LeaderInfo{1, "b1", "127.0.0.1:1", "127.0.0.1:2"}));
  election_->StepDown();
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(election_->leader().epoch, 2u);
  election_->Stop();
  EXPECT_EQ(election_->leader(), LeaderInfo{});
  executor_.Advance(absl::Seconds(10));
  EXPECT_THAT(leaders,
              ElementsAre("1 b1 127.0.0.1:1 127.0.0.1:2", "0   ", "2 b1 127.0.0.1:1 127.0.0.1:2"));
}

INSTANTIATE_TEST_SUITE_P(
    All, ElectionContract,
    ::testing::Values(Kind{"Fake",
                           [](Executor* executor, MemoryStore*) {
                             return std::make_unique<FakeElection>(executor, Own());
                           }},
                      Kind{"Standalone",
                           [](Executor* executor, MemoryStore* store) {
                             return std::make_unique<StandaloneElection>(
                                 executor,
                                 [store](auto done) { store->ClaimEpoch(std::move(done)); }, Own());
                           }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace werkplek
