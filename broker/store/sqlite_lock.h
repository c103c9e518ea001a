// The lock of a store's SQLite file: two brokers, or a broker and a tool that writes, never have
// one file at once.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace werkplek {

// The path of a store's file with links resolved: its log and its lock are beside what it names.
absl::StatusOr<std::string> RealSqlitePath(const std::string& path);

// Held as long as the object lives, and as the process does. Move only.
class SqliteLock {
 public:
  // `path` need not be there yet. FAILED_PRECONDITION: in use by another.
  static absl::StatusOr<SqliteLock> Take(const std::string& path);
  ~SqliteLock();
  SqliteLock(SqliteLock&& other) noexcept;
  SqliteLock& operator=(SqliteLock&&) = delete;

  // RealSqlitePath, so that one file has one lock.
  const std::string& path() const { return path_; }

 private:
  SqliteLock(std::string path, int descriptor);

  std::string path_;
  int descriptor_;
};

}  // namespace werkplek
