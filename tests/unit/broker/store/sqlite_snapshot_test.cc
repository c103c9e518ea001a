#include "broker/store/sqlite_snapshot.h"

#include <unistd.h>

#include <vector>

#include "broker/store/sqlite_store.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process/child_process.h"
#include "tests/support/store_client.h"

namespace werkplek {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SqliteSnapshotTest : public ::testing::Test {
 protected:
  void Open() {
    auto store = SqliteStore::Open(path_, &executor_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    client_ = std::make_unique<StoreClient>(store_.get(), &executor_);
    const auto epoch = client_->Wait<absl::StatusOr<uint64_t>>(
        [&](auto done) { store_->ClaimEpoch(std::move(done)); });
    ASSERT_TRUE(epoch.ok()) << epoch.status();
    epoch_ = *epoch;
  }
  void Commit(uint64_t number) {
    ASSERT_TRUE(
        client_->Commit(epoch_, {PutDesktop("d", number), AppendAudit(number, "user:jan")}).ok());
  }
  static std::vector<std::string> Keys(SqliteSnapshot& snapshot) {
    std::vector<std::string> keys;
    const absl::Status read = snapshot.Read([&keys](v1::Change& change) {
      keys.push_back(absl::StrCat(change.table(), "/", change.key()));
      return absl::OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return keys;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("fleet.sqlite");
  LoopExecutor executor_{"test"};
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<StoreClient> client_;
  uint64_t epoch_ = 0;
};

TEST_F(SqliteSnapshotTest, WhatIsWrittenAfterItIsNotInIt) {
  Open();
  Commit(1);
  auto snapshot = SqliteSnapshot::Open(path_);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  Commit(2);
  EXPECT_EQ(snapshot->epoch(), epoch_);
  EXPECT_THAT(Keys(*snapshot), ElementsAre("desktop/d", "audit/" + AuditKey(1)));
  EXPECT_THAT(Keys(*snapshot), ElementsAre("desktop/d", "audit/" + AuditKey(1))) << "once more";
}

TEST_F(SqliteSnapshotTest, LeavesNoLogBesideAStoreThatNobodyUses) {
  Open();
  Commit(1);
  client_.reset();
  store_.reset();
  {
    auto snapshot = SqliteSnapshot::Open(path_);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(Keys(*snapshot).size(), 2u);
  }
  EXPECT_NE(access((path_ + "-wal").c_str(), F_OK), 0);
}

TEST_F(SqliteSnapshotTest, ItsReaderEndsIt) {
  Open();
  Commit(1);
  auto snapshot = SqliteSnapshot::Open(path_);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const absl::Status read =
      snapshot->Read([](v1::Change&) { return absl::ResourceExhaustedError("no room"); });
  EXPECT_EQ(read.message(), "no room");
}

TEST_F(SqliteSnapshotTest, LeavesNoLogWhenItsReaderEndsIt) {
  Open();
  Commit(1);
  client_.reset();
  store_.reset();
  {
    auto snapshot = SqliteSnapshot::Open(path_);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_FALSE(snapshot->Read([](v1::Change&) { return absl::AbortedError("enough"); }).ok());
  }
  EXPECT_NE(access((path_ + "-wal").c_str(), F_OK), 0);
}

// Its log is not moved into it.
TEST_F(SqliteSnapshotTest, ADamagedStoreStaysAsItIs) {
  Open();
  Commit(1);
  std::string log = ReadWholeFile(path_ + "-wal");
  const std::string copy = folder_.Write("copy", ReadWholeFile(path_));
  folder_.Write("copy-wal", log);
  {
    // A row that SQLite finds good.
    auto database = SqliteDatabase::Open(copy);
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->Run("UPDATE audit SET value = 'x'").ok());
  }
  const std::string before = ReadWholeFile(copy);
  log = ReadWholeFile(copy + "-wal");
  ASSERT_FALSE(log.empty());
  {
    auto snapshot = SqliteSnapshot::Open(copy);
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_EQ(snapshot->Read([](v1::Change&) { return absl::OkStatus(); }).code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_TRUE(ReadWholeFile(copy) == before);
  EXPECT_TRUE(ReadWholeFile(copy + "-wal") == log);
}

TEST_F(SqliteSnapshotTest, FollowsLinksToTheStore) {
  Open();
  const std::string other = folder_.File("link");
  ASSERT_EQ(symlink(path_.c_str(), other.c_str()), 0);
  const auto snapshot = SqliteSnapshot::Open(other);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->path(), path_);
}

TEST_F(SqliteSnapshotTest, MakesNoStore) {
  EXPECT_THAT(SqliteSnapshot::Open(path_).status().ToString(),
              HasSubstr("there is no store at " + path_));
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace werkplek
