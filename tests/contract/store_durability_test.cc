// What only a store on a disk can promise: nothing acknowledged is lost, and a file that cannot be
// trusted is refused and left alone.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "broker/store/sqlite_schema.h"
#include "broker/store/sqlite_store.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/process/child_process.h"
#include "tests/support/store_client.h"

namespace werkplek {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  chmod(path.c_str(), 0600);
}

class StoreDurability : public ::testing::Test {
 protected:
  std::string Path() const { return folder_.path() + "/broker.db"; }

  // Opens, and gives the fleet and the claimed epoch to `use`.
  template <typename Use>
  void WithStore(Use use) {
    LoopExecutor executor("test");
    auto store = SqliteStore::Open(Path(), &executor);
    ASSERT_TRUE(store.ok()) << store.status();
    StoreClient client(store->get(), &executor);
    const auto epoch = client.Wait<absl::StatusOr<uint64_t>>(
        [&](auto done) { (*store)->ClaimEpoch(std::move(done)); });
    ASSERT_TRUE(epoch.ok()) << epoch.status();
    use(client, *epoch);
  }

  absl::Status OpenStatus() {
    LoopExecutor executor("test");
    return SqliteStore::Open(Path(), &executor).status();
  }

  // A store with some hundred records, closed.
  void Fill() {
    WithStore([](StoreClient& client, uint64_t epoch) {
      ChangeSet changes;
      for (int i = 0; i < 300; ++i) {
        changes.push_back(PutDesktop(absl::StrCat("desktop-", i), 1000 + i));
        changes.push_back(AppendAudit(i + 1, absl::StrCat("user:", i)));
      }
      ASSERT_TRUE(client.Commit(epoch, changes).ok());
    });
  }

  TemporaryFolder folder_;
};

// Writes commits of two records each, 16 in flight, and tells the number of each acknowledged one.
[[noreturn]] void WriteUntilKilled(const std::string& path, int acknowledged, uint64_t first) {
  LoopExecutor executor("child");
  auto store = SqliteStore::Open(path, &executor);
  if (!store.ok()) _exit(3);
  StoreClient client(store->get(), &executor);
  const auto epoch = client.Wait<absl::StatusOr<uint64_t>>(
      [&](auto done) { (*store)->ClaimEpoch(std::move(done)); });
  for (uint64_t next = first;; next += 16) {
    std::vector<std::pair<uint64_t, ChangeSet>> commits;
    for (uint64_t n = next; n < next + 16; ++n) {
      commits.push_back({*epoch,
                         {PutDesktop(absl::StrCat("a", n), n), PutDesktop(absl::StrCat("b", n), n),
                          AppendAudit(n, "child")}});
    }
    for (const absl::Status& status : client.CommitAll(std::move(commits))) {
      if (!status.ok()) _exit(4);
    }
    const uint64_t last = next + 15;
    if (write(acknowledged, &last, sizeof last) != sizeof last) _exit(5);
  }
}

TEST_F(StoreDurability, NothingAcknowledgedIsLostByKills) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer cannot start threads after a fork";
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "ThreadSanitizer cannot start threads after a fork";
#endif
#endif
  std::mt19937 chance(1);
  uint64_t acknowledged = 0;
  for (int round = 0; round < 60; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    // No thread of this process lives here, so that the child may use locks and threads.
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteUntilKilled(Path(), ends[1], acknowledged + 1000);
    close(ends[1]);
    const unsigned until = 1 + chance() % 12;
    uint64_t last = 0;
    for (unsigned i = 0; i < until; ++i) {
      ASSERT_EQ(read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    kill(child, SIGKILL);
    int ended = 0;
    ASSERT_EQ(waitpid(child, &ended, 0), child);
    ASSERT_TRUE(WIFSIGNALED(ended)) << "the writer stopped by itself: " << ended;
    uint64_t later = 0;
    while (read(ends[0], &later, sizeof later) == static_cast<ssize_t>(sizeof later)) last = later;
    close(ends[0]);

    const uint64_t first = acknowledged + 1000;
    acknowledged = last;
    WithStore([&](StoreClient& client, uint64_t epoch) {
      EXPECT_EQ(epoch, 2u * round + 2);
      const auto fleet = client.Load(epoch);
      ASSERT_TRUE(fleet.ok()) << fleet.status();
      for (uint64_t n = first; n <= last; ++n) {
        const v1::Desktop* a = fleet->desktops.Find(absl::StrCat("a", n));
        ASSERT_NE(a, nullptr) << "round " << round << " lost commit " << n << " of " << last;
        ASSERT_EQ(a->generation(), n);
      }
      EXPECT_GE(fleet->audit_sequence, last);
      for (const auto& entry : fleet->desktops) {
        const std::string twin = (entry.key[0] == 'a' ? "b" : "a") + entry.key.substr(1);
        ASSERT_NE(fleet->desktops.Find(twin), nullptr) << entry.key << " was committed by halves";
      }
    });
    if (HasFatalFailure()) return;
  }
}

TEST_F(StoreDurability, KeepsTheFileToItself) {
  umask(0);
  Fill();
  struct stat facts;
  ASSERT_EQ(stat(Path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  chmod(Path().c_str(), 0640);
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("chmod 600"));
}

TEST_F(StoreDurability, TwoBrokersCannotOpenOneFile) {
  LoopExecutor executor("test");
  auto first = SqliteStore::Open(Path(), &executor);
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string other_name = folder_.path() + "/link.db";
  std::filesystem::create_symlink(Path(), other_name);
  for (const std::string& path : {Path(), other_name}) {
    const absl::Status status = SqliteStore::Open(path, &executor).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("open in another broker"));
  }
  first->reset();
  EXPECT_TRUE(SqliteStore::Open(Path(), &executor).ok());
}

TEST_F(StoreDurability, AFlippedBitIsRefusedOrChangesNothing) {
  Fill();
  const std::string good = ReadFile(Path());
  std::mt19937 chance(2);
  int refused = 0;
  for (int round = 0; round < 150; ++round) {
    std::string bad = good;
    bad[chance() % bad.size()] ^= static_cast<char>(1 << chance() % 8);
    WriteFile(Path(), bad);
    const absl::Status status = OpenStatus();
    if (!status.ok()) {
      ++refused;
      EXPECT_THAT(status.code(),
                  AnyOf(absl::StatusCode::kDataLoss, absl::StatusCode::kFailedPrecondition));
      EXPECT_THAT(std::string(status.message()), HasSubstr(Path()));
      EXPECT_EQ(ReadFile(Path()), bad) << "a refused file was changed: " << status;
    } else {
      WithStore([](StoreClient& client, uint64_t epoch) {
        const auto fleet = client.Load(epoch);
        ASSERT_TRUE(fleet.ok()) << fleet.status();
        ASSERT_EQ(fleet->desktops.size(), 300u);
        for (int i = 0; i < 300; ++i) {
          ASSERT_EQ(fleet->desktops.Find(absl::StrCat("desktop-", i))->generation(), 1000u + i);
        }
        const auto audit = client.ReadAudit(0, 1000);
        if (audit.ok()) {
          ASSERT_EQ(audit->size(), 300u);
        } else {
          ASSERT_EQ(audit.status().code(), absl::StatusCode::kDataLoss);
        }
      });
    }
    for (const char* suffix : {"-wal", "-shm"}) unlink((Path() + suffix).c_str());
    if (HasFatalFailure()) FAIL() << "in round " << round;
  }
  EXPECT_GT(refused, 30) << "most of the file carries records or structure";
}

TEST_F(StoreDurability, ACutFileIsRefused) {
  Fill();
  const std::string good = ReadFile(Path());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{50}, size_t{99}, size_t{100}, size_t{4095},
                            size_t{4096}, good.size() / 2, good.size() - 4096, good.size() - 1}) {
    const std::string bad = good.substr(0, size);
    WriteFile(Path(), bad);
    const absl::Status status = OpenStatus();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path()));
    EXPECT_THAT(std::string(status.message()), HasSubstr("backup"));
    EXPECT_EQ(ReadFile(Path()), bad);
  }
}

TEST_F(StoreDurability, AMissingFileWithItsLogIsNotTakenForANewStore) {
  Fill();
  std::filesystem::rename(Path(), Path() + ".moved");
  WriteFile(Path() + "-wal", "frames");
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_FALSE(std::filesystem::exists(Path()));
  EXPECT_EQ(ReadFile(Path() + "-wal"), "frames");
}

TEST_F(StoreDurability, AFileOfANewerVersionIsRefused) {
  Fill();
  {
    auto database = SqliteDatabase::Open(Path());
    ASSERT_TRUE(database.ok());
    database->KeepTidy();
    ASSERT_TRUE(database->Run("PRAGMA user_version = 99").ok());
  }
  const std::string before = ReadFile(Path());
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer Werkplek (schema 99"));
  EXPECT_EQ(ReadFile(Path()), before);
}

TEST_F(StoreDurability, ANewerVersionThatStandsInTheLogIsRefused) {
  Fill();
  {
    auto database = SqliteDatabase::Open(Path());  // Never tidied: the change stays in the log.
    ASSERT_TRUE(database.ok());
    ASSERT_TRUE(database->Run("PRAGMA user_version = 99").ok());
  }
  ASSERT_GT(std::filesystem::file_size(Path() + "-wal"), 0u);
  const std::string before = ReadFile(Path());
  const std::string log = ReadFile(Path() + "-wal");
  const absl::Status status = OpenStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer Werkplek (schema 99"));
  EXPECT_EQ(ReadFile(Path()), before);
  EXPECT_EQ(ReadFile(Path() + "-wal"), log);
}

TEST_F(StoreDurability, AFileThatIsNotOursIsRefused) {
  const std::string text = "# werkplek configuration, surely not a store\n" + std::string(200, 'x');
  WriteFile(Path(), text);
  EXPECT_THAT(std::string(OpenStatus().message()), HasSubstr("is not a Werkplek store"));
  EXPECT_EQ(ReadFile(Path()), text);

  unlink(Path().c_str());
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(Path().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE t (a)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  chmod(Path().c_str(), 0600);
  const std::string before = ReadFile(Path());
  EXPECT_THAT(std::string(OpenStatus().message()), HasSubstr("is not a Werkplek store"));
  EXPECT_EQ(ReadFile(Path()), before);

  unlink(Path().c_str());
  std::filesystem::create_directory(Path());
  EXPECT_EQ(OpenStatus().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreDurability, AFolderThatIsMissingIsNamed) {
  LoopExecutor executor("test");
  const absl::Status status =
      SqliteStore::Open(folder_.path() + "/missing/broker.db", &executor).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing/broker.db"));
}

// Fills the disk under the store with large commits until one is refused; then every acknowledged
// one must be there, the refused one not, and a small one must fit again after room is made.
void FillTheDisk(const std::string& path, const std::function<void()>& make_room) {
  LoopExecutor executor("test");
  auto store = SqliteStore::Open(path, &executor);
  ASSERT_TRUE(store.ok()) << store.status();
  StoreClient client(store->get(), &executor);
  int written = 0;
  absl::Status refused;
  for (; written < 400 && refused.ok(); ++written) {
    v1::Desktop desktop;
    desktop.set_id(absl::StrCat("d", written));
    desktop.set_last_error(std::string(40'000, 'x'));
    refused = client.Commit(1, {PutChange("desktop", desktop.id(), desktop.SerializeAsString())});
  }
  --written;
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr(path));
  const auto check = [&](const absl::StatusOr<Fleet>& fleet) {
    ASSERT_TRUE(fleet.ok()) << fleet.status();
    EXPECT_EQ(fleet->desktops.size(), static_cast<size_t>(written));
    EXPECT_EQ(fleet->desktops.Find(absl::StrCat("d", written)), nullptr);
  };
  check(client.Load(1));
  make_room();
  ASSERT_TRUE(client.Commit(1, {PutDesktop("after", 1)}).ok());
  ASSERT_TRUE(client.Commit(1, {EraseChange("desktop", "after")}).ok());
  store->reset();
  store = SqliteStore::Open(path, &executor);
  ASSERT_TRUE(store.ok()) << store.status();
  StoreClient again(store->get(), &executor);
  check(again.Load(1));
}

TEST_F(StoreDurability, AFileSizeLimitRefusesTheCommitAndKeepsTheRest) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto restore = [&before] { setrlimit(RLIMIT_FSIZE, &before); };
  absl::Cleanup always = restore;
  const rlimit small{2 << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  FillTheDisk(Path(), restore);
}

TEST_F(StoreDurability, AFullDiskRefusesTheCommitAndKeepsTheRest) {
  const std::string disk = folder_.path() + "/disk";
  std::filesystem::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=3m") != 0) {
    GTEST_SKIP() << "may not mount a small file system here; the file size limit is tested above";
  }
  absl::Cleanup unmount = [&disk] { umount2(disk.c_str(), MNT_DETACH); };
  // Fills what a growing broker leaves, and gives it back.
  const std::string ballast = disk + "/ballast";
  WriteFile(ballast, std::string(1 << 20, 'b'));
  FillTheDisk(disk + "/broker.db", [&] { unlink(ballast.c_str()); });
}

}  // namespace
}  // namespace werkplek
