#include "broker/program/store_transfer.h"

#include <fcntl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <functional>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "broker/etcd/etcd_requests.h"
#include "broker/etcd/leadership.h"
#include "broker/program/offline_store.h"
#include "broker/store/etcd_session.h"
#include "broker/store/store_rules.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::string_view kMagic = "werkplek-store 1\n";
// What goes into one commit of an import.
constexpr size_t kChunkBytes = 512 << 10;
constexpr absl::Duration kLimit = absl::Seconds(10);

absl::Status DamagedFile(const std::string& path) {
  return absl::DataLossError(
      absl::StrCat(path, " is cut or was changed; nothing was imported. Export it again."));
}

// A digest over messages, one after another.
class Chain {
 public:
  void Add(const etcd::StoreFilePart& part) {
    digest_ = Sha256(absl::StrCat(digest_, part.SerializeAsString()));
    ++count_;
  }
  uint64_t count() const { return count_; }
  const std::string& digest() const { return digest_; }

 private:
  std::string digest_;
  uint64_t count_ = 0;
};

absl::Status WriteAll(OfflineStore& store, std::ostream& file, Chain& chain) {
  const auto write = [&](const etcd::StoreFilePart& part) {
    chain.Add(part);
    google::protobuf::util::SerializeDelimitedToOstream(part, &file);
  };
  ASSIGN_OR_RETURN(const Fleet fleet, store.Load());
  file << std::string(kMagic);
  etcd::StoreFilePart part;
  part.mutable_head()->set_epoch(store.epoch());
  write(part);
  for (v1::Change& change : RecordsOf(fleet)) {
    *part.mutable_change() = std::move(change);
    write(part);
  }
  for (uint64_t last = 0;;) {
    ASSIGN_OR_RETURN(const std::vector<v1::AuditRecord> page, store.ReadAudit(last, kMaxAuditPage));
    if (page.empty()) break;
    for (const v1::AuditRecord& record : page) {
      last = record.sequence();
      part.mutable_change()->set_table(std::string(kAuditTable));
      part.mutable_change()->set_key(AuditKey(last));
      part.mutable_change()->set_value(record.SerializeAsString());
      write(part);
    }
  }
  part.mutable_end()->set_parts(chain.count());
  part.mutable_end()->set_digest(chain.digest());
  google::protobuf::util::SerializeDelimitedToOstream(part, &file);
  file.flush();
  return file.good() ? absl::OkStatus()
                     : absl::ResourceExhaustedError("the file could not be written");
}

// Reads the file once, giving each change to `take`; the epoch it was exported under.
absl::StatusOr<uint64_t> ReadFile(const std::string& path,
                                  const std::function<absl::Status(v1::Change&)>& take) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::string magic(kMagic.size(), '\0');
  file.read(magic.data(), static_cast<std::streamsize>(magic.size()));
  if (magic != std::string(kMagic)) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is not an export of a store that this version knows; it begins otherwise than `",
        kMagic.substr(0, kMagic.size() - 1), "`"));
  }
  google::protobuf::io::IstreamInputStream stream(&file);
  Chain chain;
  uint64_t epoch = 0;
  for (bool clean_end = false;;) {
    etcd::StoreFilePart part;
    if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&part, &stream, &clean_end)) {
      return DamagedFile(path);
    }
    if (part.has_end()) {
      const bool whole = part.end().parts() == chain.count() &&
                         part.end().digest() == chain.digest() && epoch != 0;
      if (!whole) return DamagedFile(path);
      return epoch;
    }
    chain.Add(part);
    if (part.has_head()) epoch = part.head().epoch();
    if (part.has_change()) RETURN_IF_ERROR(take(*part.mutable_change()));
  }
}

// Commits the file's changes in chunks.
absl::Status Fill(const std::string& path, const std::function<absl::Status(ChangeSet)>& commit) {
  ChangeSet chunk;
  size_t bytes = 0;
  const auto flush = [&] {
    bytes = 0;
    return commit(std::exchange(chunk, {}));
  };
  RETURN_IF_ERROR(ReadFile(path, [&](v1::Change& change) -> absl::Status {
                    bytes += change.ByteSizeLong();
                    chunk.push_back(std::move(change));
                    return bytes < kChunkBytes ? absl::OkStatus() : flush();
                  }).status());
  return flush();
}

// Into a file beside it, which then takes its name.
absl::Status ImportIntoFile(const StoreConfig& config, const std::string& path, uint64_t epoch) {
  StoreConfig fresh = config;
  fresh.sqlite_file = config.sqlite_file + ".importing";
  const auto forget = [&fresh](std::initializer_list<const char*> suffixes) {
    for (const char* suffix : suffixes) unlink((fresh.sqlite_file + suffix).c_str());
  };
  if (access(config.sqlite_file.c_str(), F_OK) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(config.sqlite_file, " is there already; move it away before the import"));
  }
  forget({"", "-wal", "-shm"});
  {
    ASSIGN_OR_RETURN(const auto store, OfflineStore::Open(fresh));
    RETURN_IF_ERROR(store->TakeEpoch(epoch));
    RETURN_IF_ERROR(
        Fill(path, [&](ChangeSet changes) { return store->Commit(std::move(changes)); }));
  }
  if (renameat2(AT_FDCWD, fresh.sqlite_file.c_str(), AT_FDCWD, config.sqlite_file.c_str(),
                RENAME_NOREPLACE) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", config.sqlite_file));
  }
  forget({".lock"});
  return absl::OkStatus();
}

// Under a layout that no broker takes until all is there.
absl::Status ImportIntoEtcd(const StoreConfig& config, const std::string& path, uint64_t epoch) {
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
  RETURN_IF_ERROR(Fill(path, [&](ChangeSet changes) -> absl::Status {
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

}  // namespace

absl::Status ExportStore(const StoreConfig& config, const std::string& path, std::ostream& out) {
  if (!config.in_etcd && access(config.sqlite_file.c_str(), F_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no store at ", config.sqlite_file));
  }
  ASSIGN_OR_RETURN(const auto store, OfflineStore::Open(config));
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", path));
  absl::Cleanup remove = [&] { unlink(path.c_str()); };
  absl::Cleanup shut = [fd] { close(fd); };
  std::ofstream file(path, std::ios::binary);
  Chain chain;
  RETURN_IF_ERROR(WriteAll(*store, file, chain));
  if (fsync(fd) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("fsync of ", path));
  std::move(remove).Cancel();
  out << "exported " << chain.count() - 1 << " records of " << Place(config) << " to " << path
      << "\n";
  return absl::OkStatus();
}

absl::Status ImportStore(const StoreConfig& config, const std::string& path, std::ostream& out) {
  uint64_t records = 0;
  ASSIGN_OR_RETURN(const uint64_t exported, ReadFile(path, [&records](v1::Change&) {
                     ++records;
                     return absl::OkStatus();
                   }));
  RETURN_IF_ERROR(config.in_etcd ? ImportIntoEtcd(config, path, exported + 1)
                                 : ImportIntoFile(config, path, exported + 1));
  out << "imported " << records << " records of " << path << " into " << Place(config) << "\n";
  return absl::OkStatus();
}

}  // namespace werkplek
