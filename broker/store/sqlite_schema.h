// The form of the broker's SQLite file: who made it, which version, and how an older one becomes
// the newest.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "broker/store/sqlite_database.h"

namespace werkplek {

// "WKPL", in the file's header (SQLite's application_id).
inline constexpr uint32_t kSqliteApplicationId = 0x574b504c;

// One step from schema `number - 1` to `number` (SQLite's user_version). Steps are only ever added.
struct SqliteMigration {
  uint32_t number;
  // Single statements, ended by ';'.
  absl::string_view sql;
};

absl::Span<const SqliteMigration> SqliteMigrations();

// Makes a new file with the newest schema at `path`, mode 0600: whole, or not at all.
// The caller holds the store's lock and has seen that nothing is there.
// DATA_LOSS: a log without its file is there.
absl::Status CreateSqliteFile(const std::string& path,
                              absl::Span<const SqliteMigration> migrations);

// Looks at the file's header, without SQLite and without a change: DATA_LOSS when it is empty or
// cut, FAILED_PRECONDITION when it is not ours, when its schema is newer than `newest`, or when
// others may read it. Each message says what to do.
absl::Status CheckSqliteHeader(const std::string& path, uint32_t newest);

// Checks the opened file's pages and schema version. Changes nothing. DATA_LOSS: it is damaged;
// other failures of SQLite (locked, no room) keep their code.
absl::Status CheckSqliteContent(const SqliteDatabase& database, const std::string& path,
                                uint32_t newest);

// Runs the steps that the file lacks, each in a transaction of its own.
absl::Status MigrateSqlite(const SqliteDatabase& database,
                           absl::Span<const SqliteMigration> migrations);

}  // namespace werkplek
