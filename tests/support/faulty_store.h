// A Store between a broker and the memory store that delays and fails as it is told: before the
// write, after it, or in doubt. One thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/store/memory_store.h"

namespace werkplek {

enum class StoreFault {
  kNone,
  // Nothing is written, and the caller hears so.
  kBefore,
  // It is written, and the caller hears UNKNOWN.
  kAfter,
  // Nothing is written, and the caller hears UNKNOWN.
  kInDoubt,
};

class FaultyStore : public Store {
 public:
  // Both outlive the store.
  FaultyStore(MemoryStore* store, Executor* executor) : store_(store), executor_(executor) {}

  // What becomes of each commit, and how long it takes until it is done and until it is told.
  std::function<StoreFault()> commit_fault = [] { return StoreFault::kNone; };
  std::function<absl::Duration()> delay = [] { return absl::ZeroDuration(); };
  // Fails a load when it is not OK.
  std::function<absl::Status()> load_fault = [] { return absl::OkStatus(); };
  // Sees each change set at the moment at which it becomes durable.
  std::function<void(const ChangeSet&)> committed = [](const ChangeSet&) {};

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override {
    executor_->PostAfter(delay(), [this, alive = alive_, epoch, done = std::move(done)]() mutable {
      if (!*alive) return;
      if (absl::Status status = load_fault(); !status.ok()) {
        done(status);
      } else {
        store_->Load(epoch, std::move(done));
      }
    });
  }

  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override {
    executor_->PostAfter(delay(), [this, alive = alive_, epoch, changes = std::move(changes),
                                   done = std::move(done)]() mutable {
      if (*alive) CommitNow(epoch, std::move(changes), std::move(done));
    });
  }

  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override {
    store_->ReadAudit(after, limit, std::move(done));
  }

  ~FaultyStore() override { *alive_ = false; }

 private:
  void CommitNow(uint64_t epoch, ChangeSet changes, absl::AnyInvocable<void(absl::Status)> done) {
    const StoreFault fault = commit_fault();
    if (fault == StoreFault::kBefore) return done(absl::ResourceExhaustedError("the disk is full"));
    if (fault == StoreFault::kInDoubt) return done(absl::UnknownError("the sync failed"));
    auto copy = std::make_shared<ChangeSet>(changes);
    store_->Commit(epoch, std::move(changes),
                   [this, alive = alive_, fault, copy,
                    done = std::move(done)](const absl::Status& status) mutable {
                     if (status.ok() && *alive) committed(*copy);
                     if (fault == StoreFault::kAfter && status.ok()) {
                       done(absl::UnknownError("the answer was lost"));
                     } else {
                       done(status);
                     }
                   });
  }

  MemoryStore* const store_;
  Executor* const executor_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace werkplek
