#include "broker/store/sqlite_schema.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// `digest` guards each row: a flipped bit in a value is found, which SQLite itself would not see.
constexpr SqliteMigration kMigrations[] = {
    {1, R"(
        CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL, digest BLOB NOT NULL)
          WITHOUT ROWID;
        CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
          digest BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
        CREATE TABLE audit (sequence INTEGER PRIMARY KEY, value BLOB NOT NULL,
          digest BLOB NOT NULL);)"},
};

// https://www.sqlite.org/fileformat.html, section 1.3.
constexpr size_t kHeaderBytes = 100;
constexpr absl::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kPageSizeAt = 16;
constexpr size_t kPageCountAt = 28;
constexpr size_t kUserVersionAt = 60;
constexpr size_t kApplicationIdAt = 68;

uint32_t BigEndian(absl::string_view header, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(header[at + i]);
  return value;
}

absl::Status Damaged(const std::string& path, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: ", what,
                   ". It was left as it is. Restore the newest backup, or move the file away to "
                   "start with an empty store."));
}

// What SQLite says while it looks at the file. Only DATA_LOSS is about the file itself; one that is
// locked, or a disk that is full, is a reason to try again.
absl::Status CannotCheck(const std::string& path, const absl::Status& status) {
  if (absl::IsDataLoss(status)) return Damaged(path, status.message());
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status NotOurs(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path,
                   " is not a Werkplek store. It was left as it is. Point the configuration "
                   "at another path."));
}

absl::Status Newer(const std::string& path, uint32_t found, uint32_t newest) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, " was written by a newer Werkplek (schema ", found, "; this version knows ", newest,
      "). It was left as it is. Install the newer version, or restore a backup of before."));
}

absl::Status FillNewFile(const std::string& path, absl::Span<const SqliteMigration> migrations) {
  ASSIGN_OR_RETURN(SqliteDatabase database, SqliteDatabase::Open(path));
  // Set before the journal mode, so that the header of the main file says whose it is.
  RETURN_IF_ERROR(database.Run("PRAGMA synchronous = FULL"));
  RETURN_IF_ERROR(database.Run(absl::StrCat("PRAGMA application_id = ", kSqliteApplicationId)));
  RETURN_IF_ERROR(MigrateSqlite(database, migrations));
  RETURN_IF_ERROR(database.Query("PRAGMA journal_mode = WAL").status());
  database.KeepTidy();
  return absl::OkStatus();
}

}  // namespace

absl::Span<const SqliteMigration> SqliteMigrations() { return kMigrations; }

absl::Status CreateSqliteFile(const std::string& path,
                              absl::Span<const SqliteMigration> migrations) {
  struct stat log;
  if (stat((path + "-wal").c_str(), &log) == 0) {
    return absl::DataLossError(
        absl::StrCat(path, " is missing, but its log ", path,
                     "-wal is there. Run a restore that was cut short again; otherwise move the "
                     "store back, or move its log away too."));
  }
  const std::string fresh = path + ".new";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((fresh + suffix).c_str());
  const int fd = open(fresh.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create the store ", path));
  }
  close(fd);
  RETURN_IF_ERROR(FillNewFile(fresh, migrations));
  if (rename(fresh.c_str(), path.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot create the store ", path));
  }
  return SyncFolderOf(path);
}

absl::Status CheckSqliteHeader(const std::string& path, uint32_t newest) {
  struct stat facts;
  if (stat(path.c_str(), &facts) != 0) return absl::ErrnoToStatus(errno, "cannot open " + path);
  if (!S_ISREG(facts.st_mode)) return NotOurs(path);
  if ((facts.st_mode & 0077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " may be used by other accounts; run: chmod 600 ", path));
  }
  std::string header(kHeaderBytes, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return absl::PermissionDeniedError("cannot read " + path);
  file.read(header.data(), kHeaderBytes);
  if (static_cast<size_t>(file.gcount()) < kHeaderBytes) {
    const size_t known = std::min<size_t>(facts.st_size, kMagic.size());
    if (header.substr(0, known) != kMagic.substr(0, known)) return NotOurs(path);
    return Damaged(path, absl::StrCat("it ends at byte ", facts.st_size, " of its header"));
  }
  if (absl::string_view(header).substr(0, kMagic.size()) != kMagic) return NotOurs(path);
  if (BigEndian(header, kApplicationIdAt, 4) != kSqliteApplicationId) return NotOurs(path);
  const uint32_t version = BigEndian(header, kUserVersionAt, 4);
  if (version > newest) return Newer(path, version, newest);
  // With a write-ahead log the tail may still be in the log: SQLite's own recovery judges that.
  struct stat log;
  if (stat((path + "-wal").c_str(), &log) == 0 && log.st_size > 0) return absl::OkStatus();
  const uint64_t page = BigEndian(header, kPageSizeAt, 2);
  const uint64_t expected = (page == 1 ? 65536 : page) * BigEndian(header, kPageCountAt, 4);
  if (static_cast<uint64_t>(facts.st_size) < expected) {
    return Damaged(path,
                   absl::StrCat("it ends at byte ", facts.st_size, " of at least ", expected));
  }
  return absl::OkStatus();
}

absl::Status CheckSqliteContent(const SqliteDatabase& database, const std::string& path,
                                uint32_t newest) {
  absl::StatusOr<std::string> id = database.Query("PRAGMA application_id");
  if (!id.ok()) return CannotCheck(path, id.status());
  if (*id != absl::StrCat(kSqliteApplicationId)) return NotOurs(path);
  absl::StatusOr<std::string> found = database.Query("PRAGMA user_version");
  if (!found.ok()) return CannotCheck(path, found.status());
  uint32_t version = 0;
  if (!absl::SimpleAtoi(*found, &version) || version == 0) {
    return Damaged(path, "its schema has no version");
  }
  if (version > newest) return Newer(path, version, newest);
  absl::StatusOr<std::string> verdict = database.Query("PRAGMA integrity_check(1)");
  if (!verdict.ok()) return CannotCheck(path, verdict.status());
  if (*verdict != "ok") return Damaged(path, absl::StrCat("integrity check: ", *verdict));
  return absl::OkStatus();
}

absl::Status MigrateSqlite(const SqliteDatabase& database,
                           absl::Span<const SqliteMigration> migrations) {
  ASSIGN_OR_RETURN(const std::string text, database.Query("PRAGMA user_version"));
  uint32_t version = 0;
  if (!absl::SimpleAtoi(text, &version)) return absl::InternalError("user_version: " + text);
  for (const SqliteMigration& migration : migrations) {
    if (migration.number <= version) continue;
    RETURN_IF_ERROR(database.Run("BEGIN IMMEDIATE"));
    absl::Cleanup rollback = [&database] {
      if (database.InTransaction()) database.Run("ROLLBACK").IgnoreError();
    };
    for (absl::string_view statement : absl::StrSplit(migration.sql, ';')) {
      if (absl::StripAsciiWhitespace(statement).empty()) continue;
      RETURN_IF_ERROR(database.Run(statement));
    }
    RETURN_IF_ERROR(database.Run(absl::StrCat("PRAGMA user_version = ", migration.number)));
    RETURN_IF_ERROR(database.Run("COMMIT"));
  }
  return absl::OkStatus();
}

}  // namespace werkplek
