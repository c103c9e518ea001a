// Moves a whole store between a file of SQLite and etcd, backs it up, and restores it: all over
// files of one kind (store_file.h).
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/program/store_config.h"

namespace werkplek {

// Writes all of the configured store to `path`, which must not be there. FAILED_PRECONDITION: a
// broker uses the store.
absl::Status ExportStore(const StoreConfig& config, const std::string& path, std::ostream& out);

// Fills the configured store from `path`. The epoch goes on above that of the file.
// FAILED_PRECONDITION: something is in the store already. DATA_LOSS: the file is cut or changed;
// it is read to its end before anything is written. An import that was cut short leaves no store
// that a broker would take.
absl::Status ImportStore(const StoreConfig& config, const std::string& path, std::ostream& out);

// As ExportStore, of the store as it is at one moment, while a broker may write to it: claims
// nothing. UNAVAILABLE: etcd's content changed too much meanwhile, three times. RESOURCE_EXHAUSTED:
// too little room, see WriteStoreFile. A store that is damaged is refused: no copy of it is made.
absl::Status BackUpStore(const StoreConfig& config, const std::string& path, std::ostream& out);

struct RestoreTerms {
  // Which epoch the store gets; otherwise RestoredEpoch's.
  std::optional<uint64_t> epoch;
  absl::Time now;
};

// An epoch that no host has seen, though the backup may be old and have been restored before: hosts
// obey no broker with a lower one than they saw. Each start and each election takes one epoch, and
// over time neither comes once a second. So the seconds since 1970 are above all epochs that were
// ever taken, those after an earlier restore too; a million more than the backup's where the clock
// is wrong. INVALID_ARGUMENT: the one that was asked for is not above the backup's, or too high.
absl::StatusOr<uint64_t> RestoredEpoch(uint64_t backup, const RestoreTerms& terms);

// As ImportStore, with the epoch of `terms` and a record in the audit. A file of SQLite that is
// there already goes with its log into the folder `FILE.before-restore`; FAILED_PRECONDITION: a
// broker uses it, or the one of an earlier restore is there. One that was cut short may run again.
// In etcd nothing may be under the prefix.
absl::Status RestoreStore(const StoreConfig& config, const std::string& path,
                          const RestoreTerms& terms, std::ostream& out);

}  // namespace werkplek
