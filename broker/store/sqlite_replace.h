// Puts a new file in the place of a store's SQLite file, and keeps the old one.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace werkplek {

// `file` is the path with links resolved, and its lock is held by the caller. `aside` is the folder
// for the old file and its log.
//
// Makes room for what ReplaceSqliteFile keeps, so that a restore that was cut short can run again.
// FAILED_PRECONDITION: `aside` holds what an earlier one kept.
absl::Status ReadySqliteReplace(const std::string& file, const std::string& aside);

// After ReadySqliteReplace. `fresh` is a whole, closed file with no log, in the folder of `file`.
// At every moment, so after a failure or a crash too, a broker finds the old store whole, or is
// refused (then `aside` holds the old one whole), or finds the new one whole. After success `aside`
// is empty when nothing was there.
absl::Status ReplaceSqliteFile(const std::string& file, const std::string& fresh,
                               const std::string& aside);

}  // namespace werkplek
