// What every store checks alike, so that the fake and the real ones refuse the same things.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "broker/model/fleet.h"

namespace werkplek {

// The most that one commit may hold, keys and values together.
inline constexpr size_t kMaxCommitBytes = 32 << 20;
// The most audit records that one read gives.
inline constexpr uint32_t kMaxAuditPage = 1000;

// FAILED_PRECONDITION when `epoch` is older than `newest`.
absl::Status CheckEpoch(uint64_t epoch, uint64_t newest);

// RESOURCE_EXHAUSTED: too large. INVALID_ARGUMENT: a change without table or key, or an audit
// change that is not an append under a sequence.
absl::Status CheckChanges(const ChangeSet& changes);

// The sequence in an audit record's key (digits, zero-padded).
absl::StatusOr<uint64_t> AuditSequence(const std::string& key);

// Guards a record against flipped bits: the first 8 bytes of a SHA-256 over its parts.
std::string RecordDigest(absl::string_view kind, absl::string_view key, absl::string_view value);

// A record that no version known here can read: DATA_LOSS with its place.
absl::Status UnreadableRecord(const std::string& table, const std::string& key);

}  // namespace werkplek
