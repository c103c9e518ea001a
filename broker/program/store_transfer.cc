#include "broker/program/store_transfer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/etcd/leadership.h"
#include "broker/program/offline_store.h"
#include "broker/program/store_file.h"
#include "broker/store/etcd_session.h"
#include "broker/store/sqlite_lock.h"
#include "broker/store/sqlite_replace.h"
#include "broker/store/sqlite_snapshot.h"
#include "broker/store/store_rules.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// What goes into one commit of an import.
constexpr size_t kChunkBytes = 512 << 10;
constexpr absl::Duration kLimit = absl::Seconds(10);
constexpr uint64_t kEpochJump = 1'000'000;
constexpr int kEtcdTries = 3;

// What an import fills a store with.
struct Filling {
  std::string file;
  // How many are in the file.
  uint64_t records = 0;
  uint64_t epoch = 0;
  // Behind all that is in the file.
  ChangeSet more;
};

absl::Status ReadOffline(OfflineStore& store, const TakeChange& take) {
  ASSIGN_OR_RETURN(const Fleet fleet, store.Load());
  for (v1::Change& change : RecordsOf(fleet)) RETURN_IF_ERROR(take(change));
  v1::Change change;
  for (uint64_t last = 0;;) {
    ASSIGN_OR_RETURN(const std::vector<v1::AuditRecord> page, store.ReadAudit(last, kMaxAuditPage));
    if (page.empty()) return absl::OkStatus();
    for (const v1::AuditRecord& record : page) {
      last = record.sequence();
      change.set_table(std::string(kAuditTable));
      change.set_key(AuditKey(last));
      change.set_value(record.SerializeAsString());
      RETURN_IF_ERROR(take(change));
    }
  }
}

// Commits the file's changes in chunks.
absl::Status Fill(const Filling& filling, const std::function<absl::Status(ChangeSet)>& commit) {
  ChangeSet chunk;
  size_t bytes = 0;
  const auto flush = [&] {
    bytes = 0;
    return commit(std::exchange(chunk, {}));
  };
  RETURN_IF_ERROR(ReadStoreFile(filling.file, [&](v1::Change& change) -> absl::Status {
                    bytes += change.ByteSizeLong();
                    chunk.push_back(std::move(change));
                    return bytes < kChunkBytes ? absl::OkStatus() : flush();
                  }).status());
  chunk.insert(chunk.end(), filling.more.begin(), filling.more.end());
  return flush();
}

std::string FreshFile(const StoreConfig& config) { return config.sqlite_file + ".importing"; }

void ForgetFresh(const StoreConfig& config, std::initializer_list<const char*> suffixes) {
  for (const char* suffix : suffixes) unlink((FreshFile(config) + suffix).c_str());
}

// Whether all of it is in the one file: SQLite tells nobody when closing could not move the log
// into it.
absl::Status CheckFresh(const std::string& fresh, const Filling& filling) {
  struct stat log;
  if (stat((fresh + "-wal").c_str(), &log) == 0 && log.st_size > 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat(fresh, " could not be written whole; make room on its disk"));
  }
  ASSIGN_OR_RETURN(SqliteSnapshot snapshot, SqliteSnapshot::Open(fresh));
  uint64_t records = 0;
  RETURN_IF_ERROR(snapshot.Read([&records](v1::Change&) {
    ++records;
    return absl::OkStatus();
  }));
  const uint64_t expected = filling.records + filling.more.size();
  if (records == expected && snapshot.epoch() == filling.epoch) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(fresh, " holds ", records, " records and epoch ",
                                          snapshot.epoch(), ", not ", expected, " and ",
                                          filling.epoch));
}

// Makes FreshFile, whole, closed and checked. The store's lock is held.
absl::Status FillFresh(const StoreConfig& config, const Filling& filling) {
  StoreConfig fresh = config;
  fresh.sqlite_file = FreshFile(config);
  ForgetFresh(config, {"", "-wal", "-shm"});
  // What did not get whole takes room that the store may need.
  absl::Cleanup forget = [&config] { ForgetFresh(config, {"", "-wal", "-shm", ".lock"}); };
  {
    ASSIGN_OR_RETURN(const auto store, OfflineStore::Open(fresh));
    RETURN_IF_ERROR(store->TakeEpoch(filling.epoch));
    RETURN_IF_ERROR(
        Fill(filling, [&](ChangeSet changes) { return store->Commit(std::move(changes)); }));
  }
  RETURN_IF_ERROR(CheckFresh(fresh.sqlite_file, filling));
  std::move(forget).Cancel();
  return absl::OkStatus();
}

absl::Status ImportIntoFile(StoreConfig config, const Filling& filling) {
  ASSIGN_OR_RETURN(const SqliteLock lock, SqliteLock::Take(config.sqlite_file));
  config.sqlite_file = lock.path();
  // A log that was left would become the new file's.
  for (const char* suffix : {"", "-wal"}) {
    const std::string there = config.sqlite_file + suffix;
    if (access(there.c_str(), F_OK) != 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(there, " is there already; move it away before the import"));
  }
  RETURN_IF_ERROR(FillFresh(config, filling));
  if (renameat2(AT_FDCWD, FreshFile(config).c_str(), AT_FDCWD, config.sqlite_file.c_str(),
                RENAME_NOREPLACE) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", config.sqlite_file));
  }
  ForgetFresh(config, {".lock"});
  return SyncFolderOf(config.sqlite_file);
}

// Keeps what is there in a folder, which is given; empty: nothing was there.
absl::StatusOr<std::string> RestoreIntoFile(StoreConfig config, const Filling& filling) {
  ASSIGN_OR_RETURN(const SqliteLock lock, SqliteLock::Take(config.sqlite_file));
  config.sqlite_file = lock.path();
  const std::string aside = config.sqlite_file + ".before-restore";
  RETURN_IF_ERROR(ReadySqliteReplace(config.sqlite_file, aside));
  RETURN_IF_ERROR(FillFresh(config, filling));
  RETURN_IF_ERROR(ReplaceSqliteFile(config.sqlite_file, FreshFile(config), aside));
  ForgetFresh(config, {".lock"});
  return rmdir(aside.c_str()) == 0 ? std::string() : aside;
}

// Under a layout that no broker takes until all is there.
absl::Status ImportIntoEtcd(const StoreConfig& config, const Filling& filling) {
  const uint64_t epoch = filling.epoch;
  ASSIGN_OR_RETURN(const auto client, EtcdClient::Create(config.etcd));
  const EtcdKeys keys(config.etcd.prefix);
  etcdserverpb::TxnRequest look;
  ThenRange(look, config.etcd.prefix, EtcdPrefixEnd(config.etcd.prefix), 1)->set_keys_only(true);
  ASSIGN_OR_RETURN(const auto found, client->TxnAndWait(look, EtcdRepeat::kAlways, kLimit));
  etcdserverpb::TxnRequest begin;
  for (const std::string& key : {keys.schema, keys.epoch, keys.head, keys.leader}) {
    IfAbsent(begin, key);
  }
  ThenPut(begin, keys.schema, kEtcdImporting);
  ThenPut(begin, keys.epoch, EncodeNumber(epoch));
  const bool empty = OneKey(found, 0) == nullptr;
  if (empty) {
    ASSIGN_OR_RETURN(const auto begun, client->TxnAndWait(begin, EtcdRepeat::kIfNotDone, kLimit));
    if (!begun.succeeded())
      return absl::FailedPreconditionError("a broker has begun a store there");
  } else {
    return absl::FailedPreconditionError(
        absl::StrCat("etcd holds something under ", config.etcd.prefix,
                     " already; import under another prefix, or delete all keys there"));
  }
  EtcdStoreSettings settings = config.etcd_store;
  settings.schema = std::string(kEtcdImporting);
  EtcdSession session(settings, client.get(), [](absl::Duration) { return true; });
  RETURN_IF_ERROR(Fill(filling, [&](ChangeSet changes) -> absl::Status {
    RETURN_IF_ERROR(session.Commit(epoch, std::move(changes)));
    while (session.Fold()) {
    }
    return absl::OkStatus();
  }));
  etcdserverpb::TxnRequest end;
  IfValue(end, keys.schema, kEtcdImporting);
  IfValue(end, keys.epoch, EncodeNumber(epoch));
  ThenPut(end, keys.schema, kEtcdSchema);
  ASSIGN_OR_RETURN(const auto ended, client->TxnAndWait(end, EtcdRepeat::kIfNotDone, kLimit));
  return ended.succeeded() ? absl::OkStatus()
                           : absl::AbortedError("somebody else has changed the store meanwhile");
}

std::string Place(const StoreConfig& config) {
  return config.in_etcd ? "etcd under " + config.etcd.prefix : config.sqlite_file;
}

absl::StatusOr<StoreFileFacts> TryCopyEtcd(const StoreConfig& config, const std::string& path) {
  ASSIGN_OR_RETURN(const auto client, EtcdClient::Create(config.etcd));
  EtcdSession session(config.etcd_store, client.get(), [](absl::Duration) { return true; });
  ASSIGN_OR_RETURN(const uint64_t epoch, session.NewestEpoch());
  return WriteStoreFile(path, epoch, kUnknownSize,
                        [&](const TakeChange& take) { return session.Copy(epoch, take); });
}

// Gives all of the store at one moment to a file at `path`.
absl::StatusOr<StoreFileFacts> CopyEtcd(const StoreConfig& config, const std::string& path) {
  absl::StatusOr<StoreFileFacts> facts;
  for (int i = 0; i < kEtcdTries; ++i) {
    facts = TryCopyEtcd(config, path);
    // What a store gives, too, that changed too much while it was read.
    if (!absl::IsUnavailable(facts.status())) break;
  }
  return facts;
}

// Of the file and its log, in bytes.
uint64_t SizeOfFile(const std::string& file) {
  uint64_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat facts;
    if (stat((file + suffix).c_str(), &facts) == 0) bytes += facts.st_size;
  }
  return bytes;
}

absl::StatusOr<StoreFileFacts> CopyFile(const StoreConfig& config, const std::string& path) {
  ASSIGN_OR_RETURN(SqliteSnapshot opened, SqliteSnapshot::Open(config.sqlite_file));
  std::optional<SqliteSnapshot> snapshot(std::move(opened));
  return WriteStoreFile(path, snapshot->epoch(), SizeOfFile(snapshot->path()),
                        [&snapshot](const TakeChange& take) {
                          const absl::Status read = snapshot->Read(take);
                          // The broker's log grows as long as it is there, and a sync may be long.
                          snapshot.reset();
                          return read;
                        });
}

// Reads the file to its end, and whether this version knows all that is in it.
struct Judged {
  StoreFileFacts facts;
  uint64_t audit_sequence = 0;
};
absl::StatusOr<Judged> JudgeFile(const std::string& path) {
  Fleet fleet;
  Judged judged;
  ASSIGN_OR_RETURN(judged.facts, ReadStoreFile(path, [&](v1::Change& change) {
                     if (ApplyChange(change, fleet)) return absl::OkStatus();
                     const absl::Status unreadable = UnreadableRecord(change.table(), change.key());
                     return absl::Status(unreadable.code(),
                                         absl::StrCat(path, ": ", unreadable.message()));
                   }));
  judged.audit_sequence = fleet.audit_sequence;
  return judged;
}

v1::Change RestoreAudit(const Judged& judged, const std::string& path, absl::Time now) {
  v1::AuditRecord audit;
  audit.set_sequence(judged.audit_sequence + 1);
  audit.set_time_unix_ms(absl::ToUnixMillis(now));
  audit.set_actor("broker");
  audit.set_action("store.restore");
  audit.set_object("file:" + path);
  audit.set_result("ok");
  audit.set_origin("werkplek-broker, uid " + std::to_string(getuid()));
  v1::Change change;
  change.set_table(std::string(kAuditTable));
  change.set_key(AuditKey(audit.sequence()));
  change.set_value(audit.SerializeAsString());
  return change;
}

}  // namespace

absl::Status ExportStore(const StoreConfig& config, const std::string& path, std::ostream& out) {
  if (!config.in_etcd && access(config.sqlite_file.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no store at ", config.sqlite_file));
  }
  ASSIGN_OR_RETURN(const auto store, OfflineStore::Open(config));
  ASSIGN_OR_RETURN(
      const StoreFileFacts facts,
      WriteStoreFile(path, store->epoch(),
                     config.in_etcd ? kUnknownSize : SizeOfFile(config.sqlite_file),
                     [&store](const TakeChange& take) { return ReadOffline(*store, take); }));
  out << "exported " << facts.records << " records of " << Place(config) << " to " << path << "\n";
  return absl::OkStatus();
}

absl::Status ImportStore(const StoreConfig& config, const std::string& path, std::ostream& out) {
  ASSIGN_OR_RETURN(const Judged judged, JudgeFile(path));
  const Filling filling{path, judged.facts.records, judged.facts.epoch + 1, {}};
  RETURN_IF_ERROR(config.in_etcd ? ImportIntoEtcd(config, filling)
                                 : ImportIntoFile(config, filling));
  out << "imported " << judged.facts.records << " records of " << path << " into " << Place(config)
      << "\n";
  return absl::OkStatus();
}

absl::Status BackUpStore(const StoreConfig& config, const std::string& path, std::ostream& out) {
  ASSIGN_OR_RETURN(const StoreFileFacts facts,
                   config.in_etcd ? CopyEtcd(config, path) : CopyFile(config, path));
  out << "backed up " << facts.records << " records of " << Place(config) << ", epoch "
      << facts.epoch << ", to " << path << "\n";
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> RestoredEpoch(uint64_t backup, const RestoreTerms& terms) {
  if (terms.epoch.has_value() && (*terms.epoch <= backup || *terms.epoch > kMaxStoreFileEpoch)) {
    return absl::InvalidArgumentError(absl::StrCat("--epoch: must be above the backup's, ", backup,
                                                   ", and at most ", kMaxStoreFileEpoch));
  }
  if (terms.epoch.has_value()) return *terms.epoch;
  const int64_t seconds = std::max<int64_t>(absl::ToUnixSeconds(terms.now), 0);
  const uint64_t epoch = std::max<uint64_t>(backup + kEpochJump, seconds);
  if (epoch > kMaxStoreFileEpoch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the backup's epoch, ", backup, ", leaves no room for a jump; choose one with --epoch"));
  }
  return epoch;
}

absl::Status RestoreStore(const StoreConfig& config, const std::string& path,
                          const RestoreTerms& terms, std::ostream& out) {
  ASSIGN_OR_RETURN(const Judged judged, JudgeFile(path));
  ASSIGN_OR_RETURN(const uint64_t epoch, RestoredEpoch(judged.facts.epoch, terms));
  const Filling filling{path, judged.facts.records, epoch, {RestoreAudit(judged, path, terms.now)}};
  std::string aside;
  if (config.in_etcd) {
    RETURN_IF_ERROR(ImportIntoEtcd(config, filling));
  } else {
    ASSIGN_OR_RETURN(aside, RestoreIntoFile(config, filling));
  }
  out << "restored " << judged.facts.records << " records of " << path << " into " << Place(config)
      << "; its epoch is " << epoch << ", the backup's was " << judged.facts.epoch << "\n";
  if (!aside.empty()) out << "what was there is kept in " << aside << "\n";
  return absl::OkStatus();
}

}  // namespace werkplek
