#include "broker/store/etcd_layout.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "broker/etcd/leadership.h"
#include "broker/store/store_rules.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kDigestBytes = 8;
constexpr int kSegmentRecords = 1000;
constexpr size_t kSegmentBytes = 128 << 10;
// What a change costs in a log entry beyond its text: tags and lengths.
constexpr size_t kChangeOverhead = 32;

}  // namespace

absl::Status DamagedInEtcd(absl::string_view kind, absl::string_view key) {
  return absl::DataLossError(
      absl::StrCat("the store in etcd is damaged: ", kind, " '", key,
                   "' cannot be right. It was left as it is. Restore the newest backup."));
}

std::string SealValue(absl::string_view kind, absl::string_view key, absl::string_view content) {
  return absl::StrCat(RecordDigest(kind, key, content), content);
}

absl::StatusOr<std::string> OpenValue(absl::string_view kind, absl::string_view key,
                                      absl::string_view value) {
  if (value.size() < kDigestBytes) return DamagedInEtcd(kind, key);
  const absl::string_view content = value.substr(kDigestBytes);
  if (RecordDigest(kind, key, content) != std::string(value.substr(0, kDigestBytes))) {
    return DamagedInEtcd(kind, key);
  }
  return std::string(content);
}

std::string RecordName(absl::string_view table, absl::string_view key) {
  return absl::StrCat(table, "/", key);
}

absl::StatusOr<v1::Change> DecodeRecord(absl::string_view name, absl::string_view value) {
  const size_t slash = name.find('/');
  if (slash == absl::string_view::npos) return DamagedInEtcd("record", name);
  v1::Change change;
  change.set_table(std::string(name.substr(0, slash)));
  change.set_key(std::string(name.substr(slash + 1)));
  ASSIGN_OR_RETURN(*change.mutable_value(), OpenValue(change.table(), change.key(), value));
  return change;
}

std::string EncodeHead(const CommitHead& head) {
  return absl::StrCat(EncodeNumber(head.commits), " ", head.mark);
}

absl::StatusOr<CommitHead> DecodeHead(const etcdserverpb::KeyValue* kv) {
  CommitHead head;
  if (kv == nullptr) return head;
  const absl::string_view text = kv->value();
  if (text.size() < 22 || text[20] != ' ' || !absl::SimpleAtoi(text.substr(0, 20), &head.commits)) {
    return DamagedInEtcd("key", kv->key());
  }
  head.mark = std::string(text.substr(21));
  return head;
}

absl::StatusOr<std::vector<etcd::LogEntry>> SplitChanges(ChangeSet changes, size_t max_bytes) {
  std::vector<etcd::LogEntry> entries(1);
  size_t bytes = 0;
  for (v1::Change& change : changes) {
    const size_t own =
        change.table().size() + change.key().size() + change.value().size() + kChangeOverhead;
    if (own > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("record '", change.key(), "' of table '", change.table(), "' has ", own,
                       " bytes; etcd takes at most ", max_bytes, " in one request"));
    }
    if (bytes + own > max_bytes) {
      entries.emplace_back();
      bytes = 0;
    }
    bytes += own;
    *entries.back().add_changes() = std::move(change);
  }
  return entries;
}

std::vector<etcd::AuditSegment> GrowSegment(etcd::AuditSegment segment,
                                            std::vector<etcd::AuditSegment::Entry> entries) {
  std::vector<etcd::AuditSegment> segments;
  segments.push_back(std::move(segment));
  size_t bytes = segments.back().ByteSizeLong();
  for (etcd::AuditSegment::Entry& entry : entries) {
    const size_t own = entry.record().size() + kChangeOverhead;
    const bool full =
        segments.back().entries_size() >= kSegmentRecords || bytes + own > kSegmentBytes;
    if (full && segments.back().entries_size() > 0) {
      segments.emplace_back();
      bytes = 0;
    }
    bytes += own;
    *segments.back().add_entries() = std::move(entry);
  }
  return segments;
}

}  // namespace werkplek
