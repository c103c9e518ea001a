// Backups of a store in a file, made while it is written to, and what a restore makes of them. What
// needs etcd is in tests/integration/etcd/transfer_test.cc.
#include "broker/program/store_transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "broker/program/offline_store.h"
#include "broker/program/store_file.h"
#include "broker/store/sqlite_lock.h"
#include "tests/support/store_client.h"
#include "tests/unit/broker/program/running_broker.h"

namespace werkplek {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr int64_t kNow = 1'800'000'000;

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    store_.sqlite_file = folder_.File("fleet.sqlite");
    other_.sqlite_file = folder_.File("other.sqlite");
  }

  std::unique_ptr<OfflineStore> Open(const StoreConfig& config) {
    auto store = OfflineStore::Open(config);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  // Two desktops that are always alike, and an audit record.
  static absl::Status CommitPair(OfflineStore& store, uint64_t number) {
    return store.Commit({PutDesktop("d", number), PutDesktop("d-twin", number),
                         AppendAudit(number, absl::StrCat("user:", number))});
  }
  void Fill(const StoreConfig& config, uint64_t pairs) {
    const auto store = Open(config);
    for (uint64_t i = 1; i <= pairs; ++i) ASSERT_TRUE(CommitPair(*store, i).ok());
  }
  absl::Status BackUp(const std::string& path) {
    out_.str("");
    return BackUpStore(store_, path, out_);
  }
  absl::Status Restore(const StoreConfig& into, const std::string& path,
                       std::optional<uint64_t> epoch = std::nullopt) {
    out_.str("");
    return RestoreStore(into, path, {epoch, absl::FromUnixSeconds(kNow)}, out_);
  }
  // "desktop/ID GENERATION" and "audit/SEQUENCE ACTOR" of each record.
  static std::vector<std::string> Content(const std::string& path) {
    std::vector<std::string> content;
    const auto facts = ReadStoreFile(path, [&content](v1::Change& change) {
      v1::Desktop desktop;
      v1::AuditRecord audit;
      if (change.table() == "desktop" && desktop.ParseFromString(change.value())) {
        content.push_back(absl::StrCat("desktop/", change.key(), " ", desktop.generation()));
      } else if (audit.ParseFromString(change.value())) {
        content.push_back(absl::StrCat("audit/", audit.sequence(), " ", audit.actor()));
      }
      return absl::OkStatus();
    });
    EXPECT_TRUE(facts.ok()) << facts.status();
    return content;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // Runs SQL on the store's file with SQLite itself.
  void Sql(const std::string& sql) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(store_.sqlite_file.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(handle);
  }

  TemporaryFolder folder_;
  StoreConfig store_, other_;
  std::ostringstream out_;
};

TEST_F(BackupTest, OfAStoreThatIsBeingWrittenIsOfOneMoment) {
  const auto store = Open(store_);
  std::atomic<bool> stop = false;
  std::atomic<uint64_t> committed = 0;
  ASSERT_TRUE(CommitPair(*store, 1).ok());
  std::thread writer([&] {
    for (uint64_t i = 2; !stop; ++i) {
      if (!CommitPair(*store, i).ok()) return;
      committed = i;
    }
  });
  for (int round = 0; round < 20; ++round) {
    const std::string path = folder_.File(absl::StrCat("backup-", round));
    const absl::Status done = BackUp(path);
    EXPECT_TRUE(done.ok()) << done;
    if (!done.ok()) break;
    const std::vector<std::string> content = Content(path);
    ASSERT_GE(content.size(), 3u);
    const uint64_t moment = content.size() - 2;
    EXPECT_EQ(content[0], absl::StrCat("desktop/d ", moment));
    EXPECT_EQ(content[1], absl::StrCat("desktop/d-twin ", moment));
    EXPECT_EQ(content.back(), absl::StrCat("audit/", moment, " user:", moment));
    EXPECT_THAT(out_.str(), AllOf(HasSubstr(absl::StrCat("backed up ", moment + 2, " records of ")),
                                  HasSubstr(", epoch 1, to " + path)));
  }
  stop = true;
  writer.join();
  // Nothing was claimed: whoever leads goes on.
  EXPECT_GT(committed, 1u);
  EXPECT_TRUE(CommitPair(*store, committed + 1).ok());
}

TEST_F(BackupTest, NothingIsLeftBesideItAndOnlyItsOwnerReadsIt) {
  Fill(store_, 2);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  EXPECT_THAT(Names(), ElementsAre("a", "fleet.sqlite", "fleet.sqlite.lock"));
  struct stat facts {};
  ASSERT_EQ(stat(folder_.File("a").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 0600u);
  EXPECT_EQ(facts.st_nlink, 1u);
}

TEST_F(BackupTest, WhatIsThereIsNotOverwritten) {
  Fill(store_, 1);
  const std::string path = folder_.Write("a", "yesterday's");
  EXPECT_EQ(BackUp(path).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadWholeFile(path), "yesterday's");
  EXPECT_EQ(BackUp(folder_.File("no/where")).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Names(), Not(Contains(StartsWith("a."))));
}

TEST_F(BackupTest, AStoreThatCannotBeTrustedIsRefusedByNameAndLeftAsItIs) {
  EXPECT_THAT(BackUp(folder_.File("a")).ToString(),
              HasSubstr("there is no store at " + store_.sqlite_file));
  Fill(store_, 20);
  const std::string whole = ReadWholeFile(store_.sqlite_file);
  const auto refused = [&](const std::string& why) {
    const std::string before = ReadWholeFile(store_.sqlite_file);
    const absl::Status status = BackUp(folder_.File("a"));
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(store_.sqlite_file), HasSubstr(why)));
    EXPECT_TRUE(ReadWholeFile(store_.sqlite_file) == before);
    EXPECT_NE(access(folder_.File("a").c_str(), F_OK), 0);
  };
  ASSERT_EQ(chmod(store_.sqlite_file.c_str(), 0640), 0);
  refused("chmod 600");
  // One letter of an audit record: SQLite sees nothing of it.
  std::string flipped = whole;
  flipped[flipped.find("user:7")] = 'U';
  folder_.Write("fleet.sqlite", flipped);
  ASSERT_EQ(chmod(store_.sqlite_file.c_str(), 0600), 0);
  refused("is damaged: the digest of record '7' of table 'audit'");
  folder_.Write("fleet.sqlite", whole.substr(0, whole.size() / 2));
  refused("is damaged");
  folder_.Write("fleet.sqlite", whole);
  Sql("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)");
  refused("was written by a newer Werkplek (schema 99");
}

TEST(RestoredEpochTest, IsAboveAllThatHostsCanHaveSeen) {
  const absl::Time now = absl::FromUnixSeconds(kNow);
  EXPECT_EQ(*RestoredEpoch(57, {std::nullopt, now}), 1'800'000'000u);
  // The same backup once more, after the broker has led some times since.
  EXPECT_GT(*RestoredEpoch(57, {std::nullopt, now + absl::Hours(1)}),
            *RestoredEpoch(57, {std::nullopt, now}) + 3000);
  // A clock that stands in 1970, or before.
  EXPECT_EQ(*RestoredEpoch(57, {std::nullopt, absl::UnixEpoch()}), 1'000'057u);
  EXPECT_EQ(*RestoredEpoch(57, {std::nullopt, absl::InfinitePast()}), 1'000'057u);
  EXPECT_EQ(*RestoredEpoch(57, {58, now}), 58u);
  EXPECT_EQ(*RestoredEpoch(57, {kMaxStoreFileEpoch, now}), kMaxStoreFileEpoch);
  for (const uint64_t bad : {uint64_t{0}, uint64_t{57}, kMaxStoreFileEpoch + 1, UINT64_MAX}) {
    EXPECT_THAT(RestoredEpoch(57, {bad, now}).status().ToString(),
                HasSubstr("--epoch: must be above the backup's, 57, and at most 1000000000000000"));
  }
  EXPECT_THAT(RestoredEpoch(kMaxStoreFileEpoch - 1, {std::nullopt, now}).status().ToString(),
              HasSubstr("choose one with --epoch"));
}

TEST_F(BackupTest, ARestoreKeepsWhatWasThereAndIsWrittenInTheAudit) {
  Fill(store_, 2);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  ASSERT_TRUE(Restore(other_, folder_.File("a")).ok());
  EXPECT_THAT(out_.str(), Not(HasSubstr("kept in "))) << "nothing was there";
  EXPECT_THAT(Names(), Not(Contains(HasSubstr("before-restore"))));
  unlink(other_.sqlite_file.c_str());
  Fill(other_, 1);
  const absl::Status done = Restore(other_, folder_.File("a"));
  ASSERT_TRUE(done.ok()) << done;
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("restored 4 records of "),
                                HasSubstr("its epoch is 1800000000, the backup's was 1"),
                                HasSubstr("kept in " + other_.sqlite_file + ".before-restore")));
  {
    const auto store = Open(other_);
    EXPECT_EQ(store->epoch(), kNow + 1u);
    const auto audit = store->ReadAudit(2, 10);
    ASSERT_EQ(audit->size(), 1u);
    EXPECT_EQ((*audit)[0].action(), "store.restore");
    EXPECT_EQ((*audit)[0].object(), "file:" + folder_.File("a"));
  }
  std::swap(store_, other_);
  ASSERT_TRUE(BackUp(folder_.File("b")).ok());
  EXPECT_THAT(Content(folder_.File("b")),
              ElementsAre("desktop/d 2", "desktop/d-twin 2", "audit/1 user:1", "audit/2 user:2",
                          "audit/3 broker"));
  EXPECT_EQ(Restore(store_, folder_.File("a")).code(), absl::StatusCode::kFailedPrecondition);
  store_.sqlite_file += ".before-restore/other.sqlite";
  ASSERT_TRUE(BackUp(folder_.File("c")).ok());
  EXPECT_THAT(Content(folder_.File("c")),
              ElementsAre("desktop/d 1", "desktop/d-twin 1", "audit/1 user:1"));
}

// A broker that was killed leaves a log; beside another file it would be played back into that.
TEST_F(BackupTest, TheLogOfTheOldStoreIsNotPlayedIntoTheNewOne) {
  Fill(store_, 2);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  {
    const auto running = Open(store_);
    for (uint64_t i = 3; i <= 9; ++i) ASSERT_TRUE(CommitPair(*running, i).ok());
    for (const char* suffix : {"", "-wal"}) {
      folder_.Write(absl::StrCat("other.sqlite", suffix),
                    ReadWholeFile(absl::StrCat(store_.sqlite_file, suffix)));
    }
  }
  const std::string log = ReadWholeFile(other_.sqlite_file + "-wal");
  ASSERT_GT(log.size(), 10'000u);
  std::ostringstream out;
  const std::string file = ReadWholeFile(other_.sqlite_file);
  unlink(other_.sqlite_file.c_str());
  EXPECT_THAT(ImportStore(other_, folder_.File("a"), out).ToString(),
              HasSubstr("other.sqlite-wal is there already"));
  folder_.Write("other.sqlite", file);
  ASSERT_TRUE(Restore(other_, folder_.File("a")).ok());
  EXPECT_TRUE(ReadWholeFile(other_.sqlite_file + ".before-restore/other.sqlite-wal") == log);
  std::swap(store_, other_);
  ASSERT_TRUE(BackUp(folder_.File("b")).ok());
  EXPECT_THAT(Content(folder_.File("b")),
              ElementsAre("desktop/d 2", "desktop/d-twin 2", "audit/1 user:1", "audit/2 user:2",
                          "audit/3 broker"));
  store_.sqlite_file += ".before-restore/other.sqlite";
  ASSERT_TRUE(BackUp(folder_.File("c")).ok());
  EXPECT_EQ(Content(folder_.File("c")).back(), "audit/9 user:9") << "what was kept is whole";
}

// The disk is full when the store is closed: SQLite tells nobody that part of it is in the log.
TEST_F(BackupTest, ANewStoreThatDoesNotFitReplacesNothing) {
  Fill(other_, 1);
  {
    const auto store = Open(store_);
    for (uint64_t i = 1; i <= 55; ++i) {
      ASSERT_TRUE(store->Commit({AppendAudit(i, std::string(400 << 10, 'x'))}).ok());
    }
  }
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  const std::string before = ReadWholeFile(other_.sqlite_file);
  {
    signal(SIGXFSZ, SIG_IGN);
    rlimit whole;
    getrlimit(RLIMIT_FSIZE, &whole);
    const absl::Cleanup lift = [&whole] { setrlimit(RLIMIT_FSIZE, &whole); };
    // The log is moved into the file once before it comes to this, and the rest does not fit.
    const rlimit small{18 << 20, whole.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const absl::Status full = Restore(other_, folder_.File("a"));
    EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(full.ToString(),
                HasSubstr(other_.sqlite_file + ".importing could not be written whole"));
  }
  EXPECT_TRUE(ReadWholeFile(other_.sqlite_file) == before);
  EXPECT_THAT(Names(), Not(Contains(AnyOf(HasSubstr("before-restore"), HasSubstr("importing")))));
  ASSERT_TRUE(Restore(other_, folder_.File("a")).ok());
}

TEST_F(BackupTest, IsNotBegunWithoutRoomForTheStore) {
  Fill(store_, 1);
  // Takes no room itself.
  ASSERT_EQ(truncate(store_.sqlite_file.c_str(), int64_t{1} << 41), 0);
  const absl::Status full = BackUp(folder_.File("a"));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(full.ToString(), AllOf(HasSubstr("cannot make " + folder_.File("a")),
                                     HasSubstr("the store takes 2097152 MiB, and 512 MiB must")));
  EXPECT_THAT(Names(), ElementsAre("fleet.sqlite", "fleet.sqlite.lock"));
}

TEST_F(BackupTest, TwoImportsAtOnceAreRefused) {
  Fill(store_, 1);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  const auto importing = SqliteLock::Take(other_.sqlite_file);
  ASSERT_TRUE(importing.ok());
  EXPECT_THAT(ImportStore(other_, folder_.File("a"), out_).ToString(),
              HasSubstr(other_.sqlite_file + " is open in another"));
}

TEST_F(BackupTest, AStoreInUseIsNotReplaced) {
  Fill(store_, 2);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  const auto running = Open(store_);
  const auto names = Names();
  EXPECT_THAT(Restore(store_, folder_.File("a")).ToString(),
              HasSubstr("is open in another broker"));
  EXPECT_EQ(Names(), names);
  EXPECT_TRUE(CommitPair(*running, 3).ok());
}

TEST_F(BackupTest, ABackupThatCannotBeTrustedReplacesNothing) {
  Fill(store_, 2);
  ASSERT_TRUE(BackUp(folder_.File("a")).ok());
  const std::string whole = ReadWholeFile(folder_.File("a"));
  const std::string before = ReadWholeFile(store_.sqlite_file);
  const auto refused = [&](const std::string& content, const std::string& why) {
    const std::string path = folder_.Write("bad", content);
    EXPECT_THAT(Restore(store_, path).ToString(), AllOf(HasSubstr(path), HasSubstr(why)));
    EXPECT_TRUE(ReadWholeFile(store_.sqlite_file) == before);
  };
  refused(whole.substr(0, whole.size() - 1), "is cut or was changed");
  std::string flipped = whole;
  flipped[whole.find("user:1")] = 'U';
  refused(flipped, "is cut or was changed");
  refused("werkplek-store 2\n" + whole.substr(17), "was written by a newer Werkplek");
  refused(before, "is not an export or a backup of a store");
  refused("", "is not an export or a backup of a store");
  const auto newer = WriteStoreFile(folder_.File("c"), 1, kUnknownSize, [](const TakeChange& take) {
    v1::Change change = PutChange("holiday", "kings-day", "x");
    return take(change);
  });
  ASSERT_TRUE(newer.ok()) << newer.status();
  refused(ReadWholeFile(folder_.File("c")), "cannot be read by this version");
}

TEST(StoreFileTest, WhatCannotBeReadIsNotWritten) {
  const TemporaryFolder folder;
  const auto written =
      WriteStoreFile(folder.File("a"), 7, kUnknownSize, [](const TakeChange& take) {
        v1::Change change = PutDesktop("d", 1);
        EXPECT_TRUE(take(change).ok());
        return absl::DataLossError("a page is damaged");
      });
  EXPECT_EQ(written.status().message(), "a page is damaged");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// --- with the real program ---

// The epoch of the newest lead that its log tells; 0: none.
uint64_t NewestEpoch(const RunningBroker& broker) {
  const std::string log = broker.Log();
  const size_t at = log.rfind("event=elected");
  if (at == std::string::npos) return 0;
  const size_t begin = log.find(" epoch=", at) + 7;
  uint64_t epoch = 0;
  EXPECT_TRUE(absl::SimpleAtoi(
      log.substr(begin, log.find_first_not_of("0123456789", begin) - begin), &epoch));
  return epoch;
}

TEST(BackupProgramTest, ABrokerOnARestoredStoreLeadsAboveAllThatHostsHaveSeen) {
  RunningBroker broker;
  const std::string backup = broker.File("data/backup.store");
  ASSERT_TRUE(broker.Start());
  EXPECT_THAT(broker.Command({"store-backup", "--to", backup}), HasSubstr("backed up "));
  EXPECT_THAT(broker.Command({"store-restore", "--from", backup}),
              HasSubstr("is open in another broker"));
  const uint64_t at_backup = NewestEpoch(broker);
  ASSERT_EQ(broker.Stop(SIGTERM), 0);
  ASSERT_TRUE(broker.Start());
  ASSERT_EQ(broker.Stop(SIGTERM), 0);
  ASSERT_TRUE(broker.Start());
  const uint64_t seen = NewestEpoch(broker);
  EXPECT_GT(seen, at_backup + 1);
  ASSERT_EQ(broker.Stop(SIGKILL), 128 + SIGKILL);

  EXPECT_THAT(broker.Command({"store-restore", "--from", backup}), HasSubstr("restored "));
  ASSERT_TRUE(broker.Start());
  const uint64_t restored = NewestEpoch(broker);
  EXPECT_GT(restored, seen);
  ASSERT_EQ(broker.Stop(SIGTERM), 0);
  // Once more from the same backup: hosts have seen what the restored store led with.
  ASSERT_EQ(rename(broker.File("data/fleet.sqlite.before-restore").c_str(),
                   broker.File("data/first").c_str()),
            0);
  EXPECT_THAT(
      broker.Command({"store-restore", "--from", backup, "--epoch", absl::StrCat(restored + 10)}),
      HasSubstr(absl::StrCat("its epoch is ", restored + 10)));
  ASSERT_TRUE(broker.Start());
  EXPECT_EQ(NewestEpoch(broker), restored + 11);
  ASSERT_EQ(broker.Stop(SIGTERM), 0);
}

// The service could not open what root puts in its place.
TEST(BackupProgramTest, RootDoesNotReplaceTheServicesStore) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give the folder to another account";
  RunningBroker broker;
  const std::string backup = broker.File("backup.store");
  EXPECT_THAT(broker.Command({"store-backup", "--to", backup}), HasSubstr("backed up "));
  ASSERT_EQ(chown(broker.File("data").c_str(), 65534, 65534), 0);
  EXPECT_THAT(broker.Command({"store-restore", "--from", backup}),
              HasSubstr("run it as that account: runuser -u nobody"));
  EXPECT_NE(access(broker.File("data/fleet.sqlite.before-restore").c_str(), F_OK), 0);
}

}  // namespace
}  // namespace werkplek
