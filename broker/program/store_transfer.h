// Moves a whole store between a file of SQLite and etcd, over a file of its own.
//
// The file: the line `werkplek-store 1`, then messages (broker/etcd/etcd_proto/layout.proto,
// StoreFilePart), each after its length as a varint: a head with the epoch, every record, every
// audit record in order, and an end with their count and digest. Mode 0600: it holds sealed seeds
// and hashed tokens.
#pragma once

#include <ostream>
#include <string>

#include "absl/status/status.h"
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

}  // namespace werkplek
