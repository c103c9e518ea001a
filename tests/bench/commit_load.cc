#include "tests/bench/commit_load.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/store/sqlite_database.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

std::string RandomKey() { return HexEncode(RandomBytes(8)); }

absl::StatusOr<SqliteDatabase> Create(const std::string& file) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open(file.c_str(), &raw);
  sqlite3_close(raw);
  if (code != SQLITE_OK) return absl::UnavailableError(absl::StrCat(file, ": cannot be made"));
  ASSIGN_OR_RETURN(SqliteDatabase database, SqliteDatabase::Open(file));
  for (const char* sql : {"CREATE TABLE record (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID",
                          "CREATE TABLE log (sequence INTEGER PRIMARY KEY, value BLOB)"}) {
    RETURN_IF_ERROR(database.Run(sql));
  }
  RETURN_IF_ERROR(database.Query("PRAGMA journal_mode = WAL").status());
  RETURN_IF_ERROR(database.Run("PRAGMA synchronous = FULL"));
  return database;
}

}  // namespace

absl::StatusOr<LoadResult> RunCommitLoad(const CommitLoadSettings& settings) {
  ASSIGN_OR_RETURN(SqliteDatabase database, Create(settings.file));
  ASSIGN_OR_RETURN(SqliteStatement begin, database.Prepare("BEGIN IMMEDIATE"));
  ASSIGN_OR_RETURN(SqliteStatement commit, database.Prepare("COMMIT"));
  ASSIGN_OR_RETURN(SqliteStatement put,
                   database.Prepare("INSERT INTO record (key, value) VALUES (?1, ?2) "
                                    "ON CONFLICT (key) DO UPDATE SET value = ?2"));
  ASSIGN_OR_RETURN(SqliteStatement append,
                   database.Prepare("INSERT INTO log (sequence, value) VALUES (?1, ?2)"));
  const std::string value = RandomBytes(settings.row_bytes);
  std::vector<std::string> known;
  RETURN_IF_ERROR(begin.Run());
  for (int i = 0; i < settings.known; ++i) {
    known.push_back(RandomKey());
    RETURN_IF_ERROR(put.BindText(1, known.back()).BindBlob(2, value).Run());
  }
  RETURN_IF_ERROR(commit.Run());

  LoadResult result;
  const absl::Duration began = BenchClock();
  const auto cpu = CpuTimes({0});
  for (int done = 0; done < settings.count;) {
    const absl::Duration start = BenchClock();
    const int group = std::min(settings.writers, settings.count - done);
    RETURN_IF_ERROR(begin.Run());
    for (int i = 0; i < group; ++i, ++done) {
      RETURN_IF_ERROR(put.BindText(1, known[done % known.size()]).BindBlob(2, value).Run());
      RETURN_IF_ERROR(put.BindText(1, RandomKey()).BindBlob(2, value).Run());
      RETURN_IF_ERROR(append.BindInteger(1, done + 1).BindBlob(2, value).Run());
    }
    RETURN_IF_ERROR(commit.Run());
    result.latencies.insert(result.latencies.end(), group, BenchClock() - start);
  }
  result.took = BenchClock() - began;
  result.cpu = CpuSince(cpu);
  result.done = static_cast<uint64_t>(settings.count);
  return result;
}

}  // namespace werkplek
