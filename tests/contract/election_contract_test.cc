// The contract of the elections that need no server, on virtual time.
#include "tests/contract/election_contract.h"

#include "broker/election/standalone_election.h"
#include "broker/store/memory_store.h"
#include "tests/support/fake_election.h"
#include "tests/support/manual_executor.h"

namespace werkplek {
namespace {

using Make = std::function<std::unique_ptr<Election>(Executor*, MemoryStore*)>;

class VirtualSubject : public ElectionSubject {
 public:
  explicit VirtualSubject(const Make& make) : election_(make(&executor_, &store_)) {}
  Election* election() override { return election_.get(); }
  void Destroy() override { election_.reset(); }
  bool Until(const std::function<bool()>& condition) override {
    for (int i = 0; i < 1000 && !condition(); ++i) executor_.Advance(absl::Milliseconds(100));
    return condition();
  }
  void Long() override { executor_.Advance(absl::Minutes(10)); }

 private:
  ManualExecutor executor_;
  // Gives epochs where a real election needs a store.
  MemoryStore store_{&executor_};
  std::unique_ptr<Election> election_;
};

std::unique_ptr<Election> MakeFake(Executor* executor, MemoryStore*) {
  return std::make_unique<FakeElection>(executor, Own());
}

std::unique_ptr<Election> MakeStandalone(Executor* executor, MemoryStore* store) {
  return std::make_unique<StandaloneElection>(
      executor, [store](auto done) { store->ClaimEpoch(std::move(done)); }, Own());
}

// Both tell from their executor alone, so nothing may be heard before it runs.
TEST(ElectionTest, IsNotToldFromWithinStartOrStepDown) {
  for (const Make& make : {Make(MakeFake), Make(MakeStandalone)}) {
    ManualExecutor executor;
    MemoryStore store(&executor);
    const std::unique_ptr<Election> election = make(&executor, &store);
    int heard = 0;
    election->Start([&](uint64_t) { ++heard; }, [&] { ++heard; });
    EXPECT_EQ(heard, 0);
    executor.Advance(absl::Seconds(1));
    EXPECT_EQ(heard, 1);
    election->StepDown();
    EXPECT_EQ(heard, 1);
    election->Stop();
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ElectionContract,
    ::testing::Values(
        ElectionKind{"Fake", [] { return std::make_unique<VirtualSubject>(MakeFake); }},
        ElectionKind{"Standalone",
                     [] { return std::make_unique<VirtualSubject>(MakeStandalone); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace werkplek
