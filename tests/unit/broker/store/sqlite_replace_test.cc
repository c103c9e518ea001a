#include "broker/store/sqlite_replace.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "broker/store/sqlite_store.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process/child_process.h"
#include "tests/support/store_client.h"

namespace {

// How many more changes of names succeed; negative: all do.
int g_changes_left = -1;
// Whether all that come after fail too, as after a crash; otherwise one does.
bool g_all_fail = false;

bool FailsNow() {
  if (g_changes_left < 0) return false;
  if (g_changes_left > 0) {
    --g_changes_left;
    return false;
  }
  if (!g_all_fail) g_changes_left = -1;
  errno = EIO;
  return true;
}

}  // namespace

// In place of the C library's.
extern "C" {
int link(const char* from, const char* to) noexcept {
  if (FailsNow()) return -1;
  return static_cast<int>(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept {
  return FailsNow() ? -1 : static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
int rename(const char* from, const char* to) noexcept {
  if (FailsNow()) return -1;
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int mkdir(const char* path, mode_t mode) noexcept {
  return FailsNow() ? -1 : static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
}

namespace werkplek {
namespace {

using ::testing::HasSubstr;

// More than there are steps.
constexpr int kSteps = 14;
constexpr uint64_t kInFile = 1, kInLog = 7, kLater = 8, kNew = 100;

class SqliteReplaceTest : public ::testing::Test {
 protected:
  // What a broker that is killed leaves.
  struct Files {
    std::string file, log;
  };

  SqliteReplaceTest() {
    const std::string path = scratch_.File("fleet.sqlite");
    EXPECT_EQ(*Generation(path, kInFile), 0u);
    const absl::StatusOr<std::unique_ptr<SqliteStore>> running =
        SqliteStore::Open(path, &executor_);
    EXPECT_TRUE(StoreClient(running->get(), &executor_).Commit(1, {PutDesktop("d", kInLog)}).ok());
    old_ = {ReadWholeFile(path), ReadWholeFile(path + "-wal")};
    const std::string fresh = scratch_.File("new.sqlite");
    EXPECT_EQ(*Generation(fresh, kNew), 0u);
    new_ = ReadWholeFile(fresh);
  }

  // What a broker finds at `path`: the desktop's generation. Then it commits another, unless 0.
  absl::StatusOr<uint64_t> Generation(const std::string& path, uint64_t then = 0) {
    absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(path, &executor_);
    if (!store.ok()) return store.status();
    StoreClient client(store->get(), &executor_);
    const absl::StatusOr<Fleet> fleet = client.Load(1);
    if (!fleet.ok()) return fleet.status();
    if (then != 0) {
      EXPECT_TRUE(client.Commit(1, {PutDesktop("d", then)}).ok());
    }
    const v1::Desktop* desktop = fleet->desktops.Find("d");
    return desktop == nullptr ? 0 : desktop->generation();
  }
  // As a restore does it.
  static absl::Status Restore(const TemporaryFolder& folder, const std::string& fresh) {
    const std::string aside = folder.File("aside");
    RETURN_IF_ERROR(ReadySqliteReplace(folder.File("fleet.sqlite"), aside));
    return ReplaceSqliteFile(folder.File("fleet.sqlite"), folder.Write("fresh", fresh), aside);
  }
  // A restore of which a step fails, whether a broker starts then, and a restore again.
  void FailAndRestoreAgain(int step, bool with_log, bool broker_between);

  LoopExecutor executor_{"test"};
  TemporaryFolder scratch_;
  Files old_;
  std::string new_;
};

void SqliteReplaceTest::FailAndRestoreAgain(int step, bool with_log, bool broker_between) {
  const TemporaryFolder folder;
  const std::string file = folder.Write("fleet.sqlite", old_.file);
  if (with_log) folder.Write("fleet.sqlite-wal", old_.log);
  uint64_t kept = with_log ? kInLog : kInFile;
  g_changes_left = step;
  const absl::Status first = Restore(folder, new_);
  g_changes_left = -1;
  bool whole_new = false;
  if (broker_between) {
    const absl::StatusOr<uint64_t> found = Generation(file, kLater);
    if (!found.ok()) {
      EXPECT_EQ(found.status().code(), absl::StatusCode::kDataLoss);
      EXPECT_THAT(found.status().ToString(), HasSubstr("is missing, but its log"));
    } else if (*found == kNew) {
      whole_new = true;
    } else {
      EXPECT_EQ(*found, kept);
      EXPECT_FALSE(first.ok());
      kept = kLater;
    }
  }
  const absl::Status again = Restore(folder, new_);
  if (!again.ok()) {
    EXPECT_THAT(again.ToString(), HasSubstr("before an earlier restore; move it away"));
    EXPECT_TRUE(whole_new || !broker_between);
  }
  EXPECT_EQ(*Generation(file), whole_new && !again.ok() ? kLater : kNew);
  EXPECT_EQ(*Generation(folder.File("aside/fleet.sqlite")), kept);
}

TEST_F(SqliteReplaceTest, EachStepLeavesTheOldOneOrTheNewOneWholeAndRunsAgain) {
  for (const bool all_fail : {false, true}) {
    g_all_fail = all_fail;
    for (int step = 0; step < kSteps; ++step) {
      for (const bool with_log : {false, true}) {
        for (const bool broker_between : {false, true}) {
          SCOPED_TRACE(absl::StrCat("step ", step, all_fail ? ", a crash" : ", a failure",
                                    with_log ? ", a log" : "",
                                    broker_between ? ", a broker between" : ""));
          FailAndRestoreAgain(step, with_log, broker_between);
        }
      }
    }
  }
}

TEST_F(SqliteReplaceTest, WhereNothingWasNothingIsKept) {
  const TemporaryFolder folder;
  ASSERT_TRUE(Restore(folder, new_).ok());
  EXPECT_EQ(rmdir(folder.File("aside").c_str()), 0);
  EXPECT_NE(access(folder.File("fleet.sqlite-wal").c_str(), F_OK), 0);
  EXPECT_EQ(*Generation(folder.File("fleet.sqlite")), kNew);
}

TEST_F(SqliteReplaceTest, WhatAnEarlierOneKeptIsNotMixedWithAnotherLog) {
  const TemporaryFolder folder;
  folder.Write("fleet.sqlite", old_.file);
  ASSERT_TRUE(Restore(folder, new_).ok());
  ASSERT_EQ(unlink(folder.File("fleet.sqlite").c_str()), 0);
  folder.Write("fleet.sqlite-wal", old_.log);
  EXPECT_EQ(Restore(folder, new_).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ReadWholeFile(folder.File("fleet.sqlite-wal")) == old_.log);
}

}  // namespace
}  // namespace werkplek
