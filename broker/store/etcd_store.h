// The Store of brokers that share an etcd cluster.
//
// One thread of its own makes the calls, one after another, and folds the log when nothing waits.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "broker/node/ports.h"
#include "broker/store/etcd_session.h"
#include "common/base/mutex.h"

namespace werkplek {

// Thread-safe. The destructor does what waits, with no more patience than one try each; answers
// that the executor has not run by then are the executor's to drop.
//
// A record (its key too) is at most as large as one request to etcd; what a commit holds may be
// more: it is then sent in parts that count only together. Audit records come in rising order.
class EtcdStore : public Store {
 public:
  // Does not connect. Both outlive the store; callbacks run on `executor`.
  EtcdStore(EtcdStoreSettings settings, EtcdClient* client, Executor* executor);
  ~EtcdStore() override;
  EtcdStore(const EtcdStore&) = delete;
  EtcdStore& operator=(const EtcdStore&) = delete;

  // A new claim without the lead: one more than any epoch seen. For tools.
  void ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done);

  void Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) override;
  void Commit(uint64_t epoch, ChangeSet changes,
              absl::AnyInvocable<void(absl::Status)> done) override;
  void ReadAudit(
      uint64_t after, uint32_t limit,
      absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) override;

 private:
  using Job = absl::AnyInvocable<void()>;
  void Enqueue(Job job);
  void Run();
  // Waits; false: the store is going.
  bool Wait(absl::Duration delay);

  EtcdClient* const client_;
  Executor* const executor_;
  EtcdSession session_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace werkplek
