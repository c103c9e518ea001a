#include "broker/store/sqlite_snapshot.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "broker/store/sqlite_lock.h"
#include "broker/store/sqlite_rows.h"
#include "broker/store/sqlite_schema.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::StatusOr<SqliteSnapshot> SqliteSnapshot::Open(const std::string& link) {
  ASSIGN_OR_RETURN(const std::string path, RealSqlitePath(link));
  if (access(path.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no store at ", path));
  }
  const uint32_t newest = SqliteMigrations().back().number;
  RETURN_IF_ERROR(CheckSqliteHeader(path, newest));
  ASSIGN_OR_RETURN(SqliteDatabase database, SqliteDatabase::Open(path));
  RETURN_IF_ERROR(database.Run("PRAGMA query_only = ON"));
  // What is read first is the moment that all else is read at.
  RETURN_IF_ERROR(database.Run("BEGIN"));
  RETURN_IF_ERROR(CheckSqliteContent(database, path, newest));
  SqliteSnapshot snapshot(path, std::move(database));
  ASSIGN_OR_RETURN(SqliteStatement read_meta, snapshot.database_.Prepare(kReadMetaSql));
  ASSIGN_OR_RETURN(snapshot.epoch_, ReadEpochRow(read_meta, path));
  // It is sound: where no broker runs, no log stays behind either.
  snapshot.database_.KeepTidy();
  return snapshot;
}

absl::Status SqliteSnapshot::Read(const std::function<absl::Status(v1::Change&)>& take) {
  absl::Status read = ReadRows(take);
  if (absl::IsDataLoss(read)) database_.KeepTidy(false);
  return read;
}

absl::Status SqliteSnapshot::ReadRows(const std::function<absl::Status(v1::Change&)>& take) {
  ASSIGN_OR_RETURN(SqliteStatement records, database_.Prepare(kReadAllSql));
  RETURN_IF_ERROR(ReadRecordRows(records, path_, take));
  ASSIGN_OR_RETURN(SqliteStatement audit, database_.Prepare(kReadAuditSql));
  return ReadAuditRows(audit, path_, /*after=*/0, /*limit=*/-1,
                       [&take](uint64_t sequence, std::string value) {
                         v1::Change change;
                         change.set_table(std::string(kAuditTable));
                         change.set_key(AuditKey(sequence));
                         change.set_value(std::move(value));
                         return take(change);
                       });
}

}  // namespace werkplek
