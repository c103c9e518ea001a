// What every Store promises. A test binary includes this once and instantiates StoreContract with
// the stores it is about.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/node/ports.h"
#include "broker/store/store_rules.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/store_client.h"

namespace werkplek {

inline constexpr uint64_t kAuditRecords = 2'500;

// A store that can be left and opened anew, as by a broker that restarts.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual Store* store() = 0;
  virtual void Reopen() = 0;
  virtual void Claim(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) = 0;
  // Whether it lets go of audit records older than the newest kAuditRecords.
  virtual bool trims() const { return false; }
  LoopExecutor executor{"contract"};
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<Subject>()> make;
};

class StoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    client_ = std::make_unique<StoreClient>(subject_->store(), &subject_->executor);
  }
  void Reopen() {
    subject_->Reopen();
    client_ = std::make_unique<StoreClient>(subject_->store(), &subject_->executor);
  }
  uint64_t Claim() {
    const auto epoch = client_->Wait<absl::StatusOr<uint64_t>>(
        [&](auto done) { subject_->Claim(std::move(done)); });
    EXPECT_TRUE(epoch.ok()) << epoch.status();
    return epoch.value_or(0);
  }
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<StoreClient> client_;
};

TEST_P(StoreContract, IsEmptyAtFirst) {
  const auto fleet = client_->Load(Claim());
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_TRUE(fleet->desktops.empty());
  EXPECT_EQ(fleet->audit_sequence, 0u);
}

TEST_P(StoreContract, LoadsWhatWasCommitted) {
  const uint64_t epoch = Claim();
  ASSERT_TRUE(client_->Commit(epoch, {PutDesktop("a", 1), PutDesktop("b", 2)}).ok());
  ASSERT_TRUE(client_
                  ->Commit(epoch, {PutDesktop("b", 3), EraseChange("desktop", "a"),
                                   AppendAudit(1, "user:jan"), AppendAudit(2, "broker")})
                  .ok());
  Reopen();
  const auto fleet = client_->Load(Claim());
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  ASSERT_EQ(fleet->desktops.size(), 1u);
  EXPECT_EQ(fleet->desktops.Find("b")->generation(), 3u);
  EXPECT_EQ(fleet->audit_sequence, 2u);
}

TEST_P(StoreContract, TheLastChangeOfARecordInACommitWins) {
  const uint64_t epoch = Claim();
  ASSERT_TRUE(client_
                  ->Commit(epoch, {PutDesktop("a", 1), EraseChange("desktop", "a"),
                                   PutDesktop("a", 7), PutDesktop("b", 1),
                                   EraseChange("desktop", "b"), EraseChange("desktop", "b")})
                  .ok());
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_EQ(fleet->desktops.size(), 1u);
  EXPECT_EQ(fleet->desktops.Find("a")->generation(), 7u);
}

TEST_P(StoreContract, KeepsAnyBytesInAKey) {
  const uint64_t epoch = Claim();
  v1::AnsweredRequest answered;
  answered.set_key("client/tc-1/x' OR 1=1; --");
  ASSERT_TRUE(
      client_->Commit(epoch, {PutChange("answered", answered.key(), answered.SerializeAsString())})
          .ok());
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_NE(fleet->answered.Find(answered.key()), nullptr);
}

TEST_P(StoreContract, AnEmptyCommitIsOk) { EXPECT_TRUE(client_->Commit(Claim(), {}).ok()); }

TEST_P(StoreContract, AnEmptyValueIsARecord) {
  const uint64_t epoch = Claim();
  ASSERT_TRUE(client_->Commit(epoch, {PutChange("desktop", "a", "")}).ok());
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->desktops.size(), 1u);
}

TEST_P(StoreContract, EachClaimIsHigherThanAllBefore) {
  const uint64_t first = Claim();
  EXPECT_EQ(Claim(), first + 1);
  ASSERT_TRUE(client_->Load(first + 10).ok());
  Reopen();
  EXPECT_EQ(Claim(), first + 11);
  ASSERT_TRUE(client_->Commit(first + 20, {}).ok());
  Reopen();
  EXPECT_EQ(Claim(), first + 21);
}

TEST_P(StoreContract, AnOlderEpochWritesAndLoadsNothing) {
  const uint64_t old_epoch = Claim();
  ASSERT_TRUE(client_->Commit(old_epoch, {PutDesktop("a", 1)}).ok());
  const uint64_t epoch = Claim();
  EXPECT_EQ(client_->Commit(old_epoch, {PutDesktop("a", 2)}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client_->Load(old_epoch).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_EQ(fleet->desktops.Find("a")->generation(), 1u);
}

TEST_P(StoreContract, CommitsThatWaitTogetherKeepTheirOwnOutcomesAndOrder) {
  const uint64_t old_epoch = Claim();
  const uint64_t epoch = Claim();
  std::vector<std::pair<uint64_t, ChangeSet>> commits;
  for (int i = 0; i < 50; ++i) {
    commits.push_back({i % 5 == 3 ? old_epoch : epoch, {PutDesktop("same", i)}});
  }
  commits.push_back({epoch, {PutDesktop("other", 1), PutChange("", "x", "")}});
  const std::vector<absl::Status> outcomes = client_->CommitAll(std::move(commits));
  ASSERT_THAT(outcomes, ::testing::SizeIs(51));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(outcomes[i].code(),
              i % 5 == 3 ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kOk)
        << i << ": " << outcomes[i];
  }
  EXPECT_EQ(outcomes[50].code(), absl::StatusCode::kInvalidArgument);
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_EQ(fleet->desktops.Find("same")->generation(), 49u);
  EXPECT_EQ(fleet->desktops.Find("other"), nullptr);
}

TEST_P(StoreContract, TheAuditIsAppendOnlyAndReadInPages) {
  const uint64_t epoch = Claim();
  ChangeSet changes;
  for (uint64_t i = 1; i <= 25; ++i) changes.push_back(AppendAudit(i, absl::StrCat("user:", i)));
  ASSERT_TRUE(client_->Commit(epoch, changes).ok());
  EXPECT_EQ(client_->Commit(epoch, {PutDesktop("a", 1), AppendAudit(7, "forged")}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(client_->Commit(epoch, {EraseChange("audit", "00000000000000000007")}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->Commit(epoch, {PutChange("audit", "seven", "")}).code(),
            absl::StatusCode::kInvalidArgument);
  const auto page = client_->ReadAudit(6, 3);
  ASSERT_TRUE(page.ok());
  ASSERT_THAT(*page, ::testing::SizeIs(3));
  EXPECT_EQ((*page)[0].sequence(), 7u);
  EXPECT_EQ((*page)[0].actor(), "user:7");
  EXPECT_EQ((*page)[2].sequence(), 9u);
  EXPECT_THAT(*client_->ReadAudit(25, 3), ::testing::SizeIs(0));
  EXPECT_THAT(*client_->ReadAudit(UINT64_MAX, 3), ::testing::SizeIs(0));
  EXPECT_THAT(*client_->ReadAudit(0, 1'000'000), ::testing::SizeIs(25));
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_TRUE(fleet->desktops.empty()) << "the refused commit left something";
  EXPECT_EQ(fleet->audit_sequence, 25u);
}

TEST_P(StoreContract, OnlyTheNewestOfTheAuditIsKept) {
  if (!subject_->trims()) GTEST_SKIP() << "keeps all";
  const uint64_t epoch = Claim();
  uint64_t last = 0;
  uint64_t oldest = 1;
  // Some of them go after the commit.
  for (int i = 0; i < 100 && (last < 6'000 || oldest == 1); ++i) {
    ChangeSet changes;
    for (int j = 0; j < 200; ++j) changes.push_back(AppendAudit(++last, "user:jan"));
    ASSERT_TRUE(client_->Commit(epoch, std::move(changes)).ok());
    const auto first = client_->ReadAudit(0, 1);
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_THAT(*first, ::testing::SizeIs(1));
    oldest = first->front().sequence();
  }
  EXPECT_GT(oldest, 1u);
  EXPECT_LE(oldest, last - kAuditRecords + 1);
  for (uint64_t after = last - kAuditRecords; after < last; after += 500) {
    const auto page = client_->ReadAudit(after, 500);
    ASSERT_TRUE(page.ok()) << page.status();
    ASSERT_THAT(*page, ::testing::SizeIs(500));
    EXPECT_EQ(page->front().sequence(), after + 1);
  }
  Reopen();
  const auto fleet = client_->Load(Claim());
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  EXPECT_EQ(fleet->audit_sequence, last);
}

TEST_P(StoreContract, ACommitThatIsTooLargeWritesNothing) {
  const uint64_t epoch = Claim();
  const absl::Status status = client_->Commit(
      epoch, {PutDesktop("a", 1), PutChange("desktop", "b", std::string(kMaxCommitBytes, 'x'))});
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  const auto fleet = client_->Load(epoch);
  ASSERT_TRUE(fleet.ok());
  EXPECT_TRUE(fleet->desktops.empty());
}

TEST_P(StoreContract, ARecordThatCannotBeReadIsNamed) {
  const uint64_t epoch = Claim();
  ASSERT_TRUE(client_->Commit(epoch, {PutChange("desktop", "strange", "\xff\xff\xff")}).ok());
  const auto fleet = client_->Load(epoch);
  EXPECT_EQ(fleet.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(fleet.status().message()), ::testing::HasSubstr("strange"));
}

}  // namespace werkplek
