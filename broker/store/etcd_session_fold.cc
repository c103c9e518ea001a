// Folding: what the log says becomes a key per record and segments of audit, then the log goes.
//
// A fold may be cut short anywhere: the log still says all that the records may not say yet, and
// is read last. Each of its transactions carries the guard of the newest commit, so that one that
// comes late writes nothing that is older than what is there.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/store/etcd_session.h"
#include "common/base/log.h"

namespace werkplek {
namespace {

using etcdserverpb::TxnRequest;

// Revisions that are kept for readers of the past.
constexpr int64_t kKeptRevisions = 1000;
constexpr absl::Duration kCompactLimit = absl::Seconds(5);

}  // namespace

bool EtcdSession::Fold() {
  if (!attached_.has_value()) return false;
  if (!folding_.has_value()) {
    if (attached_->entries < settings_.fold_entries && attached_->bytes < settings_.fold_bytes) {
      return false;
    }
    BeginFold();
  }
  if (folding_->next < folding_->records.size()) return FoldRecords();
  if (!folding_->audit.empty()) return FoldAudit();
  return EndFold();
}

void EtcdSession::BeginFold() {
  folding_ = Folding();
  folding_->up_to = attached_->head.commits;
  for (auto& [record, value] : attached_->changed) folding_->records.emplace_back(record, value);
  folding_->audit = std::move(attached_->audit);
  attached_->changed.clear();
  attached_->audit.clear();
  attached_->entries = 0;
  attached_->bytes = 0;
  attached_->staged = false;
}

bool EtcdSession::FoldRecords() {
  TxnRequest txn = Guarded();
  size_t bytes = 0;
  size_t next = folding_->next;
  for (; next < folding_->records.size(); ++next) {
    const auto& [record, value] = folding_->records[next];
    const std::string key = keys_.record + RecordName(record.first, record.second);
    const size_t own = key.size() + (value.has_value() ? value->size() : 0) + 32;
    const bool full =
        txn.success_size() >= settings_.max_operations || bytes + own > settings_.max_request_bytes;
    if (full && txn.success_size() > 0) break;
    bytes += own;
    if (value.has_value()) {
      ThenPut(txn, key, SealValue(record.first, record.second, *value));
    } else {
      ThenDelete(txn, key);
    }
  }
  if (!SendFold(std::move(txn), nullptr)) return false;
  folding_->next = next;
  return true;
}

bool EtcdSession::FoldAudit() {
  const uint64_t before = attached_->folded_audit;
  const std::vector<etcd::AuditSegment> segments = GrowSegment(attached_->segment, folding_->audit);
  // One or two segments at a time; the rest is for the next step.
  const size_t count = std::min<size_t>(segments.size(), 2);
  TxnRequest txn = Guarded();
  uint64_t last = before;
  for (size_t i = 0; i < count; ++i) {
    last = segments[i].entries(segments[i].entries_size() - 1).sequence();
    const std::string number = EncodeNumber(last);
    ThenPut(txn, keys_.audit + number,
            SealValue(kAuditTable, number, segments[i].SerializeAsString()));
    if (i == 0 && before != 0 && last != before) {
      ThenDelete(txn, keys_.audit + EncodeNumber(before));
    }
  }
  ThenPut(txn, keys_.audit_tail, EncodeNumber(last));
  if (settings_.audit_records != 0 && last > settings_.audit_records) {
    // A segment is named by its last record: none of these is of the newest.
    ThenDelete(txn, keys_.audit, keys_.audit + EncodeNumber(last - settings_.audit_records + 1));
  }
  if (!SendFold(std::move(txn), nullptr)) return false;
  attached_->segment = segments[count - 1];
  attached_->folded_audit = last;
  auto& audit = folding_->audit;
  size_t done = 0;
  while (done < audit.size() && audit[done].sequence() <= last) ++done;
  audit.erase(audit.begin(), audit.begin() + static_cast<std::ptrdiff_t>(done));
  return true;
}

bool EtcdSession::EndFold() {
  TxnRequest txn = Guarded();
  ThenDelete(txn, keys_.log, keys_.log + EncodeNumber(folding_->up_to + 1));
  // Parts of commits that are folded, or that never came to be.
  if (!attached_->staged) ThenDelete(txn, keys_.stage, EtcdPrefixEnd(keys_.stage));
  int64_t revision = 0;
  if (!SendFold(std::move(txn), &revision)) return false;
  folding_.reset();
  if (revision - compacted_ > 2 * kKeptRevisions) {
    compacted_ = revision - kKeptRevisions;
    client_->Compact(compacted_, kCompactLimit, [](const auto&) {});
  }
  return false;
}

bool EtcdSession::SendFold(TxnRequest txn, int64_t* revision) {
  const auto answer = Send(txn, settings_.commit_limit);
  if (!answer.ok()) {
    Log(Severity::kWarning, "fold-waits", {{"error", std::string(answer.status().message())}});
    return false;
  }
  if (!answer->succeeded()) {
    // Another broker leads; the next commit will be told so.
    attached_.reset();
    folding_.reset();
    return false;
  }
  if (revision != nullptr) *revision = answer->header().revision();
  return true;
}

}  // namespace werkplek
