// A whole store in one file, of whichever kind of store.
//
// The line `werkplek-store 1`, then messages (broker/etcd/etcd_proto/layout.proto, StoreFilePart),
// each after its length as a varint: a head with the epoch, every record, every audit record in
// order, and an end with their count and digest. Mode 0600: it holds sealed seeds and hashed
// tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "broker/model/fleet.h"

namespace werkplek {

// The highest epoch that a file may have or a restore may give: far below what a store can count
// to.
inline constexpr uint64_t kMaxStoreFileEpoch = 1'000'000'000'000'000'000;

using TakeChange = std::function<absl::Status(v1::Change&)>;

struct StoreFileFacts {
  // The newest of the store.
  uint64_t epoch = 0;
  // Of all kinds, audit records too.
  uint64_t records = 0;
};

// What is left free, in bytes, beside a file that is written: the store may be on the same disk.
inline constexpr uint64_t kFreeBeside = uint64_t{512} << 20;
// For WriteStoreFile.
inline constexpr uint64_t kUnknownSize = 0;

// Writes `path`, whole or not at all: under a name of its own first, synced and read back.
// `size`: of the store, in bytes. `read_all` gives every record, then every audit record in order.
// ALREADY_EXISTS: `path` is there; it is left as it is. RESOURCE_EXHAUSTED: the file system has no
// room for `size` and kFreeBeside.
absl::StatusOr<StoreFileFacts> WriteStoreFile(
    const std::string& path, uint64_t epoch, uint64_t size,
    const std::function<absl::Status(const TakeChange&)>& read_all);

// Reads the file once and gives each change to `take`. DATA_LOSS: it is cut or was changed, which
// may show only at its end. FAILED_PRECONDITION: no such file, or one of a newer version.
absl::StatusOr<StoreFileFacts> ReadStoreFile(const std::string& path, const TakeChange& take);

}  // namespace werkplek
