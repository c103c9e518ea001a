// All of a store's SQLite file as it was at one moment, for a copy that is made while a broker
// writes to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/model/fleet.h"
#include "broker/store/sqlite_database.h"

namespace werkplek {

// Needs no lock and claims nothing: the write-ahead log keeps what a reader began with. The log
// grows while the object lives, so it should not live long. Thread-compatible.
class SqliteSnapshot {
 public:
  // Checks all pages. NOT_FOUND: there is no store. Refuses the files that SqliteStore::Open
  // refuses, but for one that is in use, and leaves them as they are.
  static absl::StatusOr<SqliteSnapshot> Open(const std::string& path);

  // With links resolved.
  const std::string& path() const { return path_; }
  // The newest epoch that anybody took; 0: nobody has.
  uint64_t epoch() const { return epoch_; }
  // Gives every record, then every audit record in order. DATA_LOSS: a digest does not fit;
  // the file is left as it is.
  absl::Status Read(const std::function<absl::Status(v1::Change&)>& take);

 private:
  SqliteSnapshot(std::string path, SqliteDatabase database)
      : path_(std::move(path)), database_(std::move(database)) {}
  absl::Status ReadRows(const std::function<absl::Status(v1::Change&)>& take);

  std::string path_;
  SqliteDatabase database_;
  uint64_t epoch_ = 0;
};

}  // namespace werkplek
