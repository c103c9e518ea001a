// One SQLite connection and its prepared statements, closed and finalised by scope. Errors become
// absl::Status; values go in and out only through bound parameters.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace werkplek {

// A prepared statement. Bind by position from 1, Step until false, Reset, again. Thread-compatible.
class SqliteStatement {
 public:
  SqliteStatement() = default;

  // The bytes are not copied: they stay until the statement was stepped.
  SqliteStatement& BindText(int position, absl::string_view text);
  SqliteStatement& BindBlob(int position, absl::string_view bytes);
  SqliteStatement& BindInteger(int position, int64_t value);

  // True: a row is there; false: done, and the statement is reset.
  absl::StatusOr<bool> Step();
  // Steps a statement that gives no rows, and resets it.
  absl::Status Run();
  void Reset();

  // Of the current row, columns from 0.
  std::string Bytes(int column) const;
  int64_t Integer(int column) const;

 private:
  friend class SqliteDatabase;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Thread-compatible: one thread at a time.
class SqliteDatabase {
 public:
  // Opens an existing file. Until KeepTidy is called, closing does not touch the file, so that a
  // file that turns out to be refused stays as it is.
  static absl::StatusOr<SqliteDatabase> Open(const std::string& path);

  // Closing moves the write-ahead log into the file from now on, or no longer.
  void KeepTidy(bool tidy = true);

  absl::StatusOr<SqliteStatement> Prepare(absl::string_view sql) const;
  // One statement without parameters or rows.
  absl::Status Run(absl::string_view sql) const;
  // The first column of the first row of a statement without parameters; empty when no row.
  absl::StatusOr<std::string> Query(absl::string_view sql) const;

  // How many rows were written or deleted since the file was opened.
  int64_t RowsChanged() const { return sqlite3_total_changes64(handle_.get()); }
  // Whether a transaction is open.
  bool InTransaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  explicit SqliteDatabase(sqlite3* handle) : handle_(handle) {}
  std::unique_ptr<sqlite3, Close> handle_;
};

// What the last failure on the connection means: DATA_LOSS (damaged), RESOURCE_EXHAUSTED (no room),
// UNAVAILABLE (locked by another), INTERNAL (all else).
absl::Status SqliteError(sqlite3* handle);

}  // namespace werkplek
