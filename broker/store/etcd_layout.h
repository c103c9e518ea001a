// How records, commits and the audit stand in etcd's values. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "broker/model/fleet.h"
#include "etcd_proto/etcd.pb.h"
#include "etcd_proto/layout.pb.h"

namespace werkplek {

// Every value begins with the digest of what it belongs to and what follows, so that a flipped bit
// or a value under a wrong key is found.
std::string SealValue(absl::string_view kind, absl::string_view key, absl::string_view content);
// DATA_LOSS: the digest does not fit.
absl::StatusOr<std::string> OpenValue(absl::string_view kind, absl::string_view key,
                                      absl::string_view value);

// "TABLE/KEY", the end of a record's key in etcd. A table's name has no '/'.
std::string RecordName(absl::string_view table, absl::string_view key);

// A record as it stands in etcd. `name` is RecordName's.
absl::StatusOr<v1::Change> DecodeRecord(absl::string_view name, absl::string_view value);

// How many commits there were, and the mark of the last.
struct CommitHead {
  uint64_t commits = 0;
  std::string mark;

  bool operator==(const CommitHead&) const = default;
};
std::string EncodeHead(const CommitHead& head);
// Zero for an absent key.
absl::StatusOr<CommitHead> DecodeHead(const etcdserverpb::KeyValue* kv);

// A change set as log entries of at most `max_bytes` each: the last is the commit, those before it
// are staged. RESOURCE_EXHAUSTED: one change alone is larger.
absl::StatusOr<std::vector<etcd::LogEntry>> SplitChanges(ChangeSet changes, size_t max_bytes);

// `segment` grown by `entries`, as segments of at most 1,000 records and about 128 KiB.
std::vector<etcd::AuditSegment> GrowSegment(etcd::AuditSegment segment,
                                            std::vector<etcd::AuditSegment::Entry> entries);

absl::Status DamagedInEtcd(absl::string_view kind, absl::string_view key);

}  // namespace werkplek
