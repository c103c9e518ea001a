// The node hands FenceHost to the fencer, after the commit, and its answer back to the core.
#include <string>
#include <vector>

#include "tests/support/fake_fencer.h"
#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class NodeFenceTest : public NodeHarness {
 protected:
  void SetUp() override {
    NodeHarness::SetUp();
    settings_.broker.fence_command = true;
    v1::Resource host;
    host.set_name("hv-a1");
    host.mutable_host()->set_site("a");
    v1::Resource pool;
    pool.set_name("eigen");
    pool.mutable_pool()->set_kind(v1::POOL_KIND_DEDICATED);
    pool.mutable_pool()->set_storage("san");
    pool.mutable_pool()->set_max_desktops(1);
    v1::Desktop desktop;
    desktop.set_id("eigen-1");
    desktop.set_pool("eigen");
    desktop.set_host("hv-a1");
    desktop.set_owner("jan");
    desktop.set_generation(2);
    desktop.mutable_proof()->set_generation(1);
    desktop.set_state(v1::DESKTOP_STATE_LOST);
    memory_.Commit(0,
                   {Put(kHostTable, "hv-a1", host), Put(kPoolTable, "eigen", pool),
                    Put(kDesktopTable, "eigen-1", desktop)},
                   [](const absl::Status&) {});
  }
  template <typename Record>
  static v1::Change Put(absl::string_view table, const std::string& key, const Record& record) {
    v1::Change change;
    change.set_table(std::string(table));
    change.set_key(key);
    change.set_value(record.SerializeAsString());
    return change;
  }
  const v1::Desktop& Desktop() { return *node_->picture()->desktops.Find("eigen-1"); }

  FakeFencer fencer_{&executor_};
};

TEST_F(NodeFenceTest, TheFencersWordIsCommitted) {
  fencer_part_ = &fencer_;
  StartLeading();
  executor_.Advance(absl::Seconds(9));
  EXPECT_THAT(fencer_.asked, IsEmpty()) << "it may speak yet";
  executor_.Advance(absl::Seconds(2));
  EXPECT_THAT(fencer_.asked, ElementsAre("hv-a1"));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(Desktop().fenced_by(), "fence command");
}

TEST_F(NodeFenceTest, AFailureIsTriedAgainLater) {
  fencer_part_ = &fencer_;
  fencer_.answers["hv-a1"] = absl::UnavailableError("no route");
  StartLeading();
  executor_.Advance(absl::Seconds(15));
  EXPECT_THAT(fencer_.asked, SizeIs(1));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
  executor_.Advance(absl::Seconds(60));
  EXPECT_THAT(fencer_.asked, SizeIs(3)) << "after 10 s and 20 s more";
}

TEST_F(NodeFenceTest, AnAnswerForALeadThatIsOverSaysNothing) {
  fencer_part_ = &fencer_;
  fencer_.delay = absl::Seconds(5);
  StartLeading();
  executor_.Advance(absl::Seconds(12));
  ASSERT_THAT(fencer_.asked, SizeIs(1));
  election_.SetWins(false);
  executor_.Advance(absl::Seconds(1));
  election_.SetWins(true);
  executor_.Advance(absl::Seconds(6));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
}

TEST_F(NodeFenceTest, WithoutAFencerNothingIsKnown) {
  StartLeading();
  executor_.Advance(absl::Seconds(12));
  EXPECT_EQ(Desktop().state(), v1::DESKTOP_STATE_LOST);
}

}  // namespace
}  // namespace werkplek
