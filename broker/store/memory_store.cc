#include "broker/store/memory_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "broker/store/store_rules.h"
#include "common/base/status_macros.h"

namespace werkplek {

void MemoryStore::ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
  MutexLock lock(mutex_);
  const uint64_t epoch = ++epoch_;
  executor_->Post([epoch, done = std::move(done)]() mutable { done(epoch); });
}

void MemoryStore::Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) {
  executor_->Post(
      [fleet = LoadNow(epoch), done = std::move(done)]() mutable { done(std::move(fleet)); });
}

absl::StatusOr<Fleet> MemoryStore::LoadNow(uint64_t epoch) {
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CheckEpoch(epoch, epoch_));
  epoch_ = epoch;
  Fleet fleet;
  v1::Change change;
  for (const auto& [name, value] : records_) {
    change.set_table(name.first);
    change.set_key(name.second);
    change.set_value(value);
    if (!ApplyChange(change, fleet)) return UnreadableRecord(name.first, name.second);
  }
  fleet.audit_sequence = audit_.empty() ? 0 : audit_.rbegin()->first;
  return fleet;
}

void MemoryStore::Commit(uint64_t epoch, ChangeSet changes,
                         absl::AnyInvocable<void(absl::Status)> done) {
  executor_->Post(
      [status = CommitNow(epoch, changes), done = std::move(done)]() mutable { done(status); });
}

absl::Status MemoryStore::CommitNow(uint64_t epoch, const ChangeSet& changes) {
  RETURN_IF_ERROR(CheckChanges(changes));
  MutexLock lock(mutex_);
  RETURN_IF_ERROR(CheckEpoch(epoch, epoch_));
  // First all that can fail, then all writes.
  std::map<uint64_t, std::string> appended;
  for (const v1::Change& change : changes) {
    if (change.table() != std::string(kAuditTable)) continue;
    ASSIGN_OR_RETURN(const uint64_t sequence, AuditSequence(change.key()));
    if (audit_.count(sequence) != 0 || !appended.emplace(sequence, change.value()).second) {
      return absl::AlreadyExistsError(absl::StrCat("audit record ", sequence, " is there already"));
    }
  }
  epoch_ = epoch;
  audit_.merge(appended);
  for (const v1::Change& change : changes) {
    if (change.table() == std::string(kAuditTable)) continue;
    if (change.has_value()) {
      records_[{change.table(), change.key()}] = change.value();
    } else {
      records_.erase({change.table(), change.key()});
    }
  }
  return absl::OkStatus();
}

void MemoryStore::ReadAudit(
    uint64_t after, uint32_t limit,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) {
  absl::StatusOr<std::vector<v1::AuditRecord>> read = std::vector<v1::AuditRecord>();
  MutexLock lock(mutex_);
  for (auto at = audit_.upper_bound(after);
       at != audit_.end() && read->size() < std::min(limit, kMaxAuditPage); ++at) {
    if (!read->emplace_back().ParseFromString(at->second)) {
      read = UnreadableRecord(std::string(kAuditTable), absl::StrCat(at->first));
      break;
    }
  }
  executor_->Post(
      [read = std::move(read), done = std::move(done)]() mutable { done(std::move(read)); });
}

std::map<std::pair<std::string, std::string>, std::string> MemoryStore::Records() const {
  MutexLock lock(mutex_);
  return records_;
}

}  // namespace werkplek
