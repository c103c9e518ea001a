#include "broker/store/sqlite_rows.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "broker/store/store_rules.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

absl::Status DamagedRow(const std::string& path, absl::string_view kind, absl::string_view key) {
  return absl::DataLossError(
      absl::StrCat(path, " is damaged: the digest of record '", key, "' of table '", kind,
                   "' does not fit. It was left as it is. Restore the newest backup."));
}

}  // namespace

absl::StatusOr<uint64_t> ReadEpochRow(SqliteStatement& read_meta, const std::string& path) {
  read_meta.BindText(1, kSqliteEpochName);
  ASSIGN_OR_RETURN(const bool found, read_meta.Step());
  if (!found) return uint64_t{0};
  const int64_t value = read_meta.Integer(0);
  const std::string digest = read_meta.Bytes(1);
  read_meta.Reset();
  if (value < 0 || digest != RecordDigest("meta", kSqliteEpochName, absl::StrCat(value))) {
    return DamagedRow(path, "meta", kSqliteEpochName);
  }
  return static_cast<uint64_t>(value);
}

absl::Status ReadRecordRows(SqliteStatement& read_all, const std::string& path,
                            const std::function<absl::Status(v1::Change&)>& take) {
  absl::Cleanup reset = [&read_all] { read_all.Reset(); };
  v1::Change change;
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, read_all.Step());
    if (!row) return absl::OkStatus();
    change.set_table(read_all.Bytes(0));
    change.set_key(read_all.Bytes(1));
    change.set_value(read_all.Bytes(2));
    if (read_all.Bytes(3) != RecordDigest(change.table(), change.key(), change.value())) {
      return DamagedRow(path, change.table(), change.key());
    }
    RETURN_IF_ERROR(take(change));
  }
}

absl::Status ReadAuditRows(
    SqliteStatement& read_audit, const std::string& path, uint64_t after, int64_t limit,
    const std::function<absl::Status(uint64_t sequence, std::string value)>& take) {
  read_audit.BindInteger(1, static_cast<int64_t>(std::min<uint64_t>(after, INT64_MAX)))
      .BindInteger(2, limit);
  absl::Cleanup reset = [&read_audit] { read_audit.Reset(); };
  for (;;) {
    ASSIGN_OR_RETURN(const bool row, read_audit.Step());
    if (!row) return absl::OkStatus();
    const int64_t sequence = read_audit.Integer(0);
    std::string value = read_audit.Bytes(1);
    if (read_audit.Bytes(2) != RecordDigest(kAuditTable, absl::StrCat(sequence), value)) {
      return DamagedRow(path, kAuditTable, absl::StrCat(sequence));
    }
    RETURN_IF_ERROR(take(static_cast<uint64_t>(sequence), std::move(value)));
  }
}

}  // namespace werkplek
