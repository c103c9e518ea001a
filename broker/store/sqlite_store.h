// The embedded Store: one SQLite file, write-ahead log, every commit synced (synchronous=FULL).
//
// One writer thread owns the connection. All commits that wait become one transaction, in which
// each keeps its own outcome: what makes many small commits cheap is one sync for all of them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "broker/node/ports.h"
#include "broker/store/sqlite_database.h"
#include "broker/store/sqlite_lock.h"
#include "common/base/mutex.h"

namespace werkplek {

// Thread-safe. The destructor does what waits, then closes the file; answers that the executor has
// not run by then are the executor's to drop.
class SqliteStore : public Store {
 public:
  // Opens the file, or makes it. `executor` outlives the store; callbacks run on it. Checks all
  // pages and the digest of each record. Every refusal names the file and says what to do, and
  // leaves the file byte for byte as it is: DATA_LOSS (damaged), FAILED_PRECONDITION (not ours, of
  // a newer version, readable by others, or open in another broker). `audit_records`: the newest
  // that are kept (and up to a thousand more); 0: all.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path,
                                                           Executor* executor,
                                                           uint64_t audit_records = 0);
  ~SqliteStore() override;

  // A new claim, durable before `done` is called: one more than any epoch seen.
  void ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done);

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override;
  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override;
  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override;

 private:
  struct CommitJob {
    uint64_t epoch;
    ChangeSet changes;
    absl::AnyInvocable<void(absl::Status)> done;
    absl::Status outcome;
  };
  using OtherJob = absl::AnyInvocable<void()>;
  using Job = std::variant<CommitJob, OtherJob>;

  struct Statements {
    SqliteStatement begin, commit, read_meta, write_meta, put, erase, append, read_all, read_audit,
        last_audit, trim_audit;
  };

  SqliteStore(SqliteLock lock, SqliteDatabase database, Executor* executor, uint64_t audit_records);
  absl::Status Prepare();
  void Enqueue(Job job);
  void Run();

  // Each runs on the writer thread.
  void CommitGroup(std::vector<CommitJob> group);
  // False: the transaction came to nothing for a reason that may be one job's alone.
  bool TryTransaction(std::vector<CommitJob>& group);
  absl::Status ApplyJob(const CommitJob& job, uint64_t& newest);
  absl::Status ApplyChangeRow(const v1::Change& change);
  // After the record `newest`: those go that are too old.
  absl::Status TrimAudit(uint64_t newest);
  absl::StatusOr<Fleet> LoadNow(uint64_t epoch);
  absl::StatusOr<uint64_t> ClaimNow();
  absl::StatusOr<std::vector<v1::AuditRecord>> ReadAuditNow(uint64_t after, uint32_t limit);
  absl::StatusOr<uint64_t> ReadEpoch();
  absl::Status WriteEpoch(uint64_t epoch);
  // Names the file in an error.
  absl::Status Named(const absl::Status& status) const;

  // Before the connection, which is closed first: nobody else may come in between.
  const SqliteLock lock_;
  const std::string path_;
  Executor* const executor_;
  const uint64_t audit_records_;
  SqliteDatabase database_;
  Statements statements_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread writer_;
};

}  // namespace werkplek
