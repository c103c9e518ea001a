// The directory is asked again about people who are signed in.
#include <string>
#include <utility>

#include "tests/unit/broker/node/node_harness.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;

class RecheckTest : public NodeHarness {
 protected:
  void SetUp() override {
    NodeHarness::SetUp();
    StartLeading();
    admin_ = SignedInAdmin();
  }

  absl::StatusCode TryToCreate(const std::string& site) {
    Got got;
    node_->Call(admin_, CreateSite(site), got.Callback());
    executor_.Advance(absl::Milliseconds(50));
    return got.code();
  }
  std::vector<std::string> Audited(const std::string& action) {
    std::vector<std::string> objects;
    for (const ChangeSet& changes : committed_) {
      for (const v1::Change& change : changes) {
        v1::AuditRecord record;
        if (change.table() == "audit" && record.ParseFromString(change.value()) &&
            record.action() == action) {
          objects.push_back(record.object());
        }
      }
    }
    return objects;
  }

  Caller admin_;
};

TEST_F(RecheckTest, WhoLeavesTheGroupLosesTheRoleWithinAMinute) {
  EXPECT_EQ(TryToCreate("a"), absl::StatusCode::kOk);
  directory_.AddPerson("beheer", "beheer-password", {"staff"});
  executor_.Advance(absl::Minutes(1));
  EXPECT_EQ(TryToCreate("b"), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(Audited("person-changed"), ElementsAre("user:beheer"));
  // And gets it again with the group.
  directory_.AddPerson("beheer", "beheer-password", {"staff", "admins"});
  executor_.Advance(absl::Minutes(1));
  EXPECT_EQ(TryToCreate("b"), absl::StatusCode::kOk);
}

TEST_F(RecheckTest, WhoIsDisabledIsSignedOut) {
  directory_.RemovePerson("beheer");
  executor_.Advance(absl::Seconds(100));
  EXPECT_EQ(TryToCreate("a"), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(Audited("person-gone"), ElementsAre("user:beheer"));
  EXPECT_EQ(node_->picture()->sign_ins.size(), 0u);
}

TEST_F(RecheckTest, WhileTheDirectoryIsAwayWhatItSaidCounts) {
  directory_.RemovePerson("beheer");
  directory_.SetOutage(DirectoryOutcome::kUnavailable);
  executor_.Advance(absl::Minutes(10));
  EXPECT_EQ(TryToCreate("a"), absl::StatusCode::kOk);
}

TEST_F(RecheckTest, WhatIsTheSameIsNotWritten) {
  const size_t before = committed_.size();
  executor_.Advance(absl::Minutes(10));
  EXPECT_GE(directory_.looked_for(), 15);
  EXPECT_LE(directory_.looked_for(), 25);
  EXPECT_EQ(committed_.size(), before);
}

}  // namespace
}  // namespace werkplek
