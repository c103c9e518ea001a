// How records, the epoch and the audit stand in the rows of the broker's SQLite file. Each row has
// a digest: DATA_LOSS names the file and the row whose digest does not fit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "broker/model/fleet.h"
#include "broker/store/sqlite_database.h"

namespace werkplek {

inline constexpr absl::string_view kSqliteEpochName = "epoch";

inline constexpr absl::string_view kReadMetaSql = "SELECT value, digest FROM meta WHERE name = ?1";
inline constexpr absl::string_view kReadAllSql = "SELECT kind, key, value, digest FROM record";
inline constexpr absl::string_view kReadAuditSql =
    "SELECT sequence, value, digest FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";

// The newest epoch that anybody took; 0: nobody has. `read_meta` is of kReadMetaSql.
absl::StatusOr<uint64_t> ReadEpochRow(SqliteStatement& read_meta, const std::string& path);

// Gives every record to `take`, whose failure ends it. `read_all` is of kReadAllSql.
absl::Status ReadRecordRows(SqliteStatement& read_all, const std::string& path,
                            const std::function<absl::Status(v1::Change&)>& take);

// Gives audit records above `after` in order, at most `limit` (negative: all), as their sequence
// and their bytes. `read_audit` is of kReadAuditSql.
absl::Status ReadAuditRows(
    SqliteStatement& read_audit, const std::string& path, uint64_t after, int64_t limit,
    const std::function<absl::Status(uint64_t sequence, std::string value)>& take);

}  // namespace werkplek
