// The store as one broker of a simulation sees it: slow and failing as told, and, in the sabotaged
// variants, wrong.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "tests/sim/chance.h"
#include "tests/sim/scenario.h"
#include "tests/support/faulty_store.h"

namespace werkplek::sim {

class SimStore : public Store {
 public:
  // `alive` tells whether the broker that commits still runs. All outlive the store.
  SimStore(FaultyStore* store, Executor* executor, Chance* chance, Sabotage sabotage)
      : store_(store), executor_(executor), chance_(chance), sabotage_(sabotage) {}

  // Changes when the broker dies: what it had not written then is lost.
  uint64_t run = 0;

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override {
    store_->Load(epoch, std::move(done));
  }
  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override;
  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override {
    store_->ReadAudit(after, limit, std::move(done));
  }

 private:
  void Spoil(ChangeSet& changes);

  FaultyStore* const store_;
  Executor* const executor_;
  Chance* const chance_;
  const Sabotage sabotage_;
};

}  // namespace werkplek::sim
