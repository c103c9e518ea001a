// The broker's records in etcd, by calls that wait: the part of EtcdStore that runs on its thread.
//
// A commit is one transaction that puts one log entry and moves the head, guarded by the epoch and
// by the head before it. So it is made once however often it is sent, and its outcome can be asked
// for. What the log says is later folded into a key per record (docs/adr/0081-etcd-layout.md).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "broker/etcd/etcd_client.h"
#include "broker/etcd/leadership.h"
#include "broker/model/fleet.h"
#include "broker/store/etcd_layout.h"

namespace werkplek {

struct EtcdStoreSettings {
  // How long a commit is tried before its outcome is told as unknown (or as not done).
  absl::Duration commit_limit = absl::Seconds(4);
  // For one call of a load.
  absl::Duration read_limit = absl::Seconds(10);
  // Below what etcd takes by default: 128 operations and 1.5 MiB (--max-txn-ops,
  // --max-request-bytes).
  int max_operations = 120;
  size_t max_request_bytes = 1 << 20;
  // The log is folded when it holds this much.
  size_t fold_entries = 512;
  size_t fold_bytes = 1 << 20;
  // The newest audit records that are kept, at least 2,000 (and up to a segment more). 0: all.
  uint64_t audit_records = 0;
  // An import writes under another layout until it is whole.
  std::string schema = std::string(kEtcdSchema);
};

// Thread-compatible.
class EtcdSession {
 public:
  using TakeRecord = std::function<absl::Status(v1::Change&)>;

  // `client` outlives the session. `wait` waits a moment between tries; false: give up.
  EtcdSession(EtcdStoreSettings settings, EtcdClient* client,
              std::function<bool(absl::Duration)> wait);

  // As Store's.
  absl::StatusOr<Fleet> Load(uint64_t epoch);
  absl::Status Commit(uint64_t epoch, ChangeSet changes);
  absl::StatusOr<std::vector<v1::AuditRecord>> ReadAudit(uint64_t after, uint32_t limit);
  // The newest epoch that anybody took, for a copy. NOT_FOUND: there is no store.
  absl::StatusOr<uint64_t> NewestEpoch();
  // Every record, then every audit record in order, as they were at one revision, while a broker
  // writes: claims and changes nothing. `epoch` is NewestEpoch's. UNAVAILABLE: too much changed
  // meanwhile; try again.
  absl::Status Copy(uint64_t epoch, const TakeRecord& take);

  // Moves some of the log into records. True: there is more to do. Failures are for the next time.
  bool Fold();

 private:
  using Record = std::pair<std::string, std::string>;
  // The newest value of each record that the log changes; nullopt: deleted.
  using Changed = std::map<Record, std::optional<std::string>>;

  // What is known of the store under one epoch; it holds as long as every commit succeeds.
  struct Attached {
    uint64_t epoch = 0;
    CommitHead head;
    // The revision of the cluster at which it was read.
    int64_t revision = 0;
    uint64_t last_audit = 0;
    // Of the log.
    Changed changed;
    std::vector<etcd::AuditSegment::Entry> audit;
    size_t entries = 0;
    size_t bytes = 0;
    // Since the fold that is under way began.
    bool staged = false;
    // The newest folded segment, and its last sequence.
    etcd::AuditSegment segment;
    uint64_t folded_audit = 0;
  };
  // What is being folded: the log up to a commit.
  struct Folding {
    uint64_t up_to = 0;
    std::vector<std::pair<Record, std::optional<std::string>>> records;
    size_t next = 0;
    std::vector<etcd::AuditSegment::Entry> audit;
  };

  absl::Status Attach(uint64_t epoch);
  // All records of what was attached; `guard`: the epoch to look at with each page, or 0.
  absl::Status ReadRecords(uint64_t guard, const TakeRecord& take);
  absl::Status CopyAudit(const TakeRecord& take);
  // One look at the store's heads; moves the epoch up to `epoch` when it is lower.
  absl::StatusOr<Attached> AttachOnce(uint64_t epoch, bool& again);
  absl::Status TakeEpoch(uint64_t epoch, uint64_t found, absl::string_view schema);
  absl::Status ReadSegment(Attached& attached);
  absl::Status ReadLog(Attached& attached);
  absl::Status TakeEntry(Attached& attached, const etcdserverpb::KeyValue& kv);
  static void TakeChange(Attached& attached, v1::Change change);

  // All of a range at one revision, in pages; `epoch` (when not 0) is looked at with each.
  absl::Status ReadRange(absl::string_view key, absl::string_view end, int64_t revision,
                         uint64_t epoch, int64_t page,
                         const std::function<absl::Status(const etcdserverpb::KeyValue&)>& take);

  absl::Status CheckAudit(const ChangeSet& changes) const;
  absl::Status Stage(const std::string& mark, std::vector<etcd::LogEntry>& entries);
  absl::Status PutHead(const CommitHead& next, const etcd::LogEntry& entry, bool& certain);
  // OK: the commit `next` was done although etcd said `full`, for it measures again when it carries
  // a write out, and then has done it (3.4, quotaApplierV3). Else `full`.
  absl::Status JudgeFull(const CommitHead& next, const absl::Status& full, bool& certain);
  // What a transaction that changed nothing says about the commit `next`.
  absl::Status JudgeHead(const etcdserverpb::TxnResponse& answer, const CommitHead& next,
                         bool may_be_done) const;
  // A transaction under the guard of the epoch and the head.
  etcdserverpb::TxnRequest Guarded() const;
  // Tries again while the outcome is open: for what does no harm when it is done twice.
  absl::StatusOr<etcdserverpb::TxnResponse> Send(const etcdserverpb::TxnRequest& txn,
                                                 absl::Duration limit);

  void BeginFold();
  bool FoldRecords();
  bool FoldAudit();
  bool EndFold();
  bool SendFold(etcdserverpb::TxnRequest txn, int64_t* revision);

  const EtcdStoreSettings settings_;
  EtcdClient* const client_;
  const EtcdKeys keys_;
  const std::function<bool(absl::Duration)> wait_;
  std::optional<Attached> attached_;
  std::optional<Folding> folding_;
  int64_t compacted_ = 0;
};

}  // namespace werkplek
