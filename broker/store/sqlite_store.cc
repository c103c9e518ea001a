#include "broker/store/sqlite_store.h"

#include <pthread.h>

#include <algorithm>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/store/sqlite_rows.h"
#include "broker/store/sqlite_schema.h"
#include "broker/store/store_rules.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr uint64_t kTrimEvery = 1000;

// Commits that share one transaction at most; bounds the wait of the first.
constexpr size_t kMaxGroup = 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               Executor* executor,
                                                               uint64_t audit_records) {
  ASSIGN_OR_RETURN(SqliteLock lock, SqliteLock::Take(path));
  const std::string real = lock.path();
  const uint32_t newest = SqliteMigrations().back().number;
  if (!std::filesystem::exists(real)) RETURN_IF_ERROR(CreateSqliteFile(real, SqliteMigrations()));
  RETURN_IF_ERROR(CheckSqliteHeader(real, newest));
  ASSIGN_OR_RETURN(SqliteDatabase database, SqliteDatabase::Open(real));
  RETURN_IF_ERROR(CheckSqliteContent(database, real, newest));
  auto store = std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(lock), std::move(database), executor, audit_records));
  if (absl::Status status = store->Prepare(); !status.ok()) return store->Named(status);
  store->writer_ = std::thread([raw = store.get()] { raw->Run(); });
  pthread_setname_np(store->writer_.native_handle(), "store");
  return store;
}

SqliteStore::SqliteStore(SqliteLock lock, SqliteDatabase database, Executor* executor,
                         uint64_t audit_records)
    : lock_(std::move(lock)),
      path_(lock_.path()),
      executor_(executor),
      audit_records_(audit_records),
      database_(std::move(database)) {}

SqliteStore::~SqliteStore() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.Signal();
  }
  if (writer_.joinable()) writer_.join();
}

absl::Status SqliteStore::Prepare() {
  // Records are checked before the first write, so that a damaged file stays as it is.
  ASSIGN_OR_RETURN(statements_.read_all, database_.Prepare(kReadAllSql));
  RETURN_IF_ERROR(
      ReadRecordRows(statements_.read_all, path_, [](v1::Change&) { return absl::OkStatus(); }));
  ASSIGN_OR_RETURN(statements_.read_meta, database_.Prepare(kReadMetaSql));
  RETURN_IF_ERROR(ReadEpoch().status());

  database_.KeepTidy();
  RETURN_IF_ERROR(MigrateSqlite(database_, SqliteMigrations()));
  ASSIGN_OR_RETURN(const std::string mode, database_.Query("PRAGMA journal_mode = WAL"));
  if (mode != "wal") return absl::FailedPreconditionError("no write-ahead log on this file system");
  for (absl::string_view pragma :
       {"PRAGMA synchronous = FULL", "PRAGMA cell_size_check = ON", "PRAGMA temp_store = MEMORY",
        // In KiB: a write touches pages all over the file, and none should be read again for it.
        "PRAGMA cache_size = -65536"}) {
    RETURN_IF_ERROR(database_.Run(pragma));
  }
  // In pages: the log's pages go into the file seldom, and then many versions of one page as one.
  RETURN_IF_ERROR(database_.Query("PRAGMA wal_autocheckpoint = 4096").status());
  ASSIGN_OR_RETURN(statements_.begin, database_.Prepare("BEGIN IMMEDIATE"));
  ASSIGN_OR_RETURN(statements_.commit, database_.Prepare("COMMIT"));
  ASSIGN_OR_RETURN(statements_.write_meta,
                   database_.Prepare("INSERT INTO meta (name, value, digest) VALUES (?1, ?2, ?3) "
                                     "ON CONFLICT (name) DO UPDATE SET value = ?2, digest = ?3"));
  ASSIGN_OR_RETURN(
      statements_.put,
      database_.Prepare("INSERT INTO record (kind, key, value, digest) VALUES (?1, ?2, ?3, ?4) "
                        "ON CONFLICT (kind, key) DO UPDATE SET value = ?3, digest = ?4"));
  ASSIGN_OR_RETURN(statements_.erase,
                   database_.Prepare("DELETE FROM record WHERE kind = ?1 AND key = ?2"));
  ASSIGN_OR_RETURN(statements_.append,
                   database_.Prepare("INSERT INTO audit (sequence, value, digest) "
                                     "VALUES (?1, ?2, ?3) ON CONFLICT (sequence) DO NOTHING"));
  ASSIGN_OR_RETURN(statements_.read_audit, database_.Prepare(kReadAuditSql));
  ASSIGN_OR_RETURN(statements_.last_audit,
                   database_.Prepare("SELECT coalesce(max(sequence), 0) FROM audit"));
  ASSIGN_OR_RETURN(statements_.trim_audit,
                   database_.Prepare("DELETE FROM audit WHERE sequence <= ?1"));
  return absl::OkStatus();
}

absl::Status SqliteStore::Named(const absl::Status& status) const {
  if (status.ok() || absl::StartsWith(status.message(), path_)) return status;
  return absl::Status(status.code(), absl::StrCat(path_, ": ", status.message()));
}

void SqliteStore::Enqueue(Job job) {
  MutexLock lock(mutex_);
  queue_.push_back(std::move(job));
  changed_.Signal();
}

void SqliteStore::ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
  Enqueue(OtherJob([this, done = std::move(done)]() mutable {
    executor_->Post([epoch = ClaimNow(), done = std::move(done)]() mutable { done(epoch); });
  }));
}

void SqliteStore::Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) {
  Enqueue(OtherJob([this, epoch, done = std::move(done)]() mutable {
    executor_->Post(
        [fleet = LoadNow(epoch), done = std::move(done)]() mutable { done(std::move(fleet)); });
  }));
}

void SqliteStore::Commit(uint64_t epoch, ChangeSet changes,
                         absl::AnyInvocable<void(absl::Status)> done) {
  Enqueue(CommitJob{epoch, std::move(changes), std::move(done), absl::OkStatus()});
}

void SqliteStore::ReadAudit(
    uint64_t after, uint32_t limit,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) {
  Enqueue(OtherJob([this, after, limit, done = std::move(done)]() mutable {
    executor_->Post([records = ReadAuditNow(after, limit), done = std::move(done)]() mutable {
      done(std::move(records));
    });
  }));
}

void SqliteStore::Run() {
  for (;;) {
    std::vector<CommitJob> group;
    OtherJob other;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      while (!queue_.empty() && group.size() < kMaxGroup &&
             std::holds_alternative<CommitJob>(queue_.front())) {
        group.push_back(std::get<CommitJob>(std::move(queue_.front())));
        queue_.pop_front();
      }
      if (group.empty()) {
        other = std::get<OtherJob>(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    if (group.empty()) {
      other();
    } else {
      CommitGroup(std::move(group));
    }
  }
}

void SqliteStore::CommitGroup(std::vector<CommitJob> group) {
  if (TryTransaction(group) || group.size() == 1) {
    for (CommitJob& job : group) {
      executor_->Post(
          [status = Named(job.outcome), done = std::move(job.done)]() mutable { done(status); });
    }
    return;
  }
  // There was no room for all of them together: each gets its own chance, still in order.
  for (CommitJob& job : group) {
    std::vector<CommitJob> alone;
    alone.push_back(std::move(job));
    CommitGroup(std::move(alone));
  }
}

bool SqliteStore::TryTransaction(std::vector<CommitJob>& group) {
  const auto fail_all = [&group](const absl::Status& status) {
    for (CommitJob& job : group) job.outcome = status;
    return false;
  };
  if (absl::Status begun = statements_.begin.Run(); !begun.ok()) return fail_all(begun);
  absl::Cleanup rollback = [this] {
    if (database_.InTransaction()) database_.Run("ROLLBACK").IgnoreError();
  };
  absl::StatusOr<uint64_t> newest = ReadEpoch();
  if (!newest.ok()) return fail_all(newest.status());
  for (CommitJob& job : group) {
    if (group.size() == 1) {
      // It needs no way back of its own, for which SQLite would keep a copy of each page.
      job.outcome = ApplyJob(job, *newest);
      if (!job.outcome.ok()) return false;
      continue;
    }
    if (absl::Status s = database_.Run("SAVEPOINT job"); !s.ok()) return fail_all(s);
    job.outcome = ApplyJob(job, *newest);
    if (!database_.InTransaction()) return fail_all(job.outcome);
    if (absl::IsResourceExhausted(job.outcome)) return false;
    if (!job.outcome.ok()) {
      if (absl::Status s = database_.Run("ROLLBACK TO job"); !s.ok()) return fail_all(s);
    }
    if (absl::Status s = database_.Run("RELEASE job"); !s.ok()) return fail_all(s);
  }
  absl::Status committed = statements_.commit.Run();
  if (committed.ok()) return true;
  // No room and locked: the log's last frame was never written whole. Everything else (a sync that
  // failed) leaves it open whether the log survives a crash.
  if (absl::IsResourceExhausted(committed) || absl::IsUnavailable(committed)) {
    return fail_all(committed);
  }
  for (CommitJob& job : group) {
    if (job.outcome.ok()) job.outcome = absl::UnknownError(committed.message());
  }
  return true;
}

absl::Status SqliteStore::ApplyJob(const CommitJob& job, uint64_t& newest) {
  RETURN_IF_ERROR(CheckChanges(job.changes));
  RETURN_IF_ERROR(CheckEpoch(job.epoch, newest));
  for (const v1::Change& change : job.changes) RETURN_IF_ERROR(ApplyChangeRow(change));
  if (job.epoch != newest) RETURN_IF_ERROR(WriteEpoch(job.epoch));
  newest = job.epoch;
  return absl::OkStatus();
}

absl::Status SqliteStore::ApplyChangeRow(const v1::Change& change) {
  if (absl::string_view(change.table()) == kAuditTable) {
    ASSIGN_OR_RETURN(const uint64_t sequence, AuditSequence(change.key()));
    const std::string digest = RecordDigest(kAuditTable, absl::StrCat(sequence), change.value());
    statements_.append.BindInteger(1, static_cast<int64_t>(sequence))
        .BindBlob(2, change.value())
        .BindBlob(3, digest);
    // Without RETURNING, for which SQLite makes and drops a table each time.
    const int64_t before = database_.RowsChanged();
    RETURN_IF_ERROR(statements_.append.Run());
    if (database_.RowsChanged() == before) {
      return absl::AlreadyExistsError(absl::StrCat("audit record ", sequence, " is there already"));
    }
    return TrimAudit(sequence);
  }
  if (!change.has_value()) {
    return statements_.erase.BindText(1, change.table()).BindText(2, change.key()).Run();
  }
  return statements_.put.BindText(1, change.table())
      .BindText(2, change.key())
      .BindBlob(3, change.value())
      .BindBlob(4, RecordDigest(change.table(), change.key(), change.value()))
      .Run();
}

absl::Status SqliteStore::TrimAudit(uint64_t newest) {
  // Many at a time: one seek less for each commit.
  if (audit_records_ == 0 || newest <= audit_records_ || newest % kTrimEvery != 0) {
    return absl::OkStatus();
  }
  return statements_.trim_audit.BindInteger(1, static_cast<int64_t>(newest - audit_records_)).Run();
}

absl::StatusOr<uint64_t> SqliteStore::ReadEpoch() {
  return ReadEpochRow(statements_.read_meta, path_);
}

absl::Status SqliteStore::WriteEpoch(uint64_t epoch) {
  return statements_.write_meta.BindText(1, kSqliteEpochName)
      .BindInteger(2, static_cast<int64_t>(epoch))
      .BindBlob(3, RecordDigest("meta", kSqliteEpochName, absl::StrCat(epoch)))
      .Run();
}

absl::StatusOr<uint64_t> SqliteStore::ClaimNow() {
  if (absl::Status begun = database_.Run("BEGIN IMMEDIATE"); !begun.ok()) return Named(begun);
  absl::Cleanup rollback = [this] {
    if (database_.InTransaction()) database_.Run("ROLLBACK").IgnoreError();
  };
  absl::StatusOr<uint64_t> newest = ReadEpoch();
  if (!newest.ok()) return Named(newest.status());
  if (absl::Status s = WriteEpoch(*newest + 1); !s.ok()) return Named(s);
  if (absl::Status s = database_.Run("COMMIT"); !s.ok()) return Named(s);
  return *newest + 1;
}

absl::StatusOr<Fleet> SqliteStore::LoadNow(uint64_t epoch) {
  if (absl::Status begun = database_.Run("BEGIN IMMEDIATE"); !begun.ok()) return Named(begun);
  absl::Cleanup rollback = [this] {
    if (database_.InTransaction()) database_.Run("ROLLBACK").IgnoreError();
  };
  Fleet fleet;
  const absl::Status read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const uint64_t newest, ReadEpoch());
    RETURN_IF_ERROR(CheckEpoch(epoch, newest));
    if (epoch != newest) RETURN_IF_ERROR(WriteEpoch(epoch));
    RETURN_IF_ERROR(ReadRecordRows(statements_.read_all, path_, [&fleet](v1::Change& change) {
      return ApplyChange(change, fleet) ? absl::OkStatus()
                                        : UnreadableRecord(change.table(), change.key());
    }));
    RETURN_IF_ERROR(statements_.last_audit.Step().status());
    fleet.audit_sequence = static_cast<uint64_t>(statements_.last_audit.Integer(0));
    statements_.last_audit.Reset();
    return database_.Run("COMMIT");
  }();
  if (!read.ok()) return Named(read);
  return fleet;
}

absl::StatusOr<std::vector<v1::AuditRecord>> SqliteStore::ReadAuditNow(uint64_t after,
                                                                       uint32_t limit) {
  std::vector<v1::AuditRecord> records;
  const absl::Status read = ReadAuditRows(
      statements_.read_audit, path_, after, std::min(limit, kMaxAuditPage),
      [&records](uint64_t sequence, const std::string& value) {
        return records.emplace_back().ParseFromString(value)
                   ? absl::OkStatus()
                   : UnreadableRecord(std::string(kAuditTable), absl::StrCat(sequence));
      });
  if (!read.ok()) return Named(read);
  return records;
}

}  // namespace werkplek
