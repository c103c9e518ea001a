// The fake Store: keeps records in memory, as long as the object lives. Brokers of one simulated
// life after another share one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/node/ports.h"
#include "common/base/mutex.h"

namespace werkplek {

class MemoryStore : public Store {
 public:
  // `executor` outlives the store; callbacks run on it.
  explicit MemoryStore(Executor* executor) : executor_(executor) {}

  // A new claim: one more than any epoch seen.
  void ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done);

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override;
  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override;
  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override;

  // What is kept now, for tests: (table, key) to the serialised record.
  std::map<std::pair<std::string, std::string>, std::string> Records() const;

 private:
  absl::Status CommitNow(uint64_t epoch, const ChangeSet& changes);
  absl::StatusOr<Fleet> LoadNow(uint64_t epoch);

  Executor* const executor_;
  mutable Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<std::string, std::string>, std::string> records_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::string> audit_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
