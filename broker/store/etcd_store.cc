#include "broker/store/etcd_store.h"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace werkplek {
namespace {

constexpr absl::Duration kClaimLimit = absl::Seconds(5);

}  // namespace

EtcdStore::EtcdStore(EtcdStoreSettings settings, EtcdClient* client, Executor* executor)
    : client_(client),
      executor_(executor),
      session_(settings, client, [this](absl::Duration delay) { return Wait(delay); }),
      thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "store");
}

EtcdStore::~EtcdStore() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  thread_.join();
}

bool EtcdStore::Wait(absl::Duration delay) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(delay);
  MutexLock lock(mutex_);
  while (!stopping_) {
    const auto rest = until - std::chrono::steady_clock::now();
    if (rest <= std::chrono::nanoseconds(0)) return true;
    changed_.WaitFor(mutex_, absl::FromChrono(rest));
  }
  return false;
}

void EtcdStore::Enqueue(Job job) {
  MutexLock lock(mutex_);
  queue_.push_back(std::move(job));
  changed_.SignalAll();
}

void EtcdStore::Run() {
  bool fold = false;
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_ && !fold) changed_.Wait(mutex_);
      if (queue_.empty() && stopping_) return;
      if (!queue_.empty()) {
        job = std::move(queue_.front());
        queue_.pop_front();
      }
    }
    if (job) job();
    // One step after each commit, so that the log stays short under load too.
    fold = session_.Fold();
  }
}

void EtcdStore::ClaimEpoch(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
  ClaimLead(client_, EtcdKeys(client_->settings().prefix), {}, /*lease=*/0, kClaimLimit,
            [executor = executor_,
             done = std::move(done)](const absl::StatusOr<EtcdClaim>& claim) mutable {
              absl::StatusOr<uint64_t> epoch = uint64_t{0};
              if (claim.ok()) {
                epoch = claim->epoch;
              } else {
                epoch = claim.status();
              }
              executor->Post([epoch, done = std::move(done)]() mutable { done(epoch); });
            });
}

void EtcdStore::Load(uint64_t epoch, absl::AnyInvocable<void(absl::StatusOr<Fleet>)> done) {
  Enqueue([this, epoch, done = std::move(done)]() mutable {
    executor_->Post([fleet = session_.Load(epoch), done = std::move(done)]() mutable {
      done(std::move(fleet));
    });
  });
}

void EtcdStore::Commit(uint64_t epoch, ChangeSet changes,
                       absl::AnyInvocable<void(absl::Status)> done) {
  Enqueue([this, epoch, changes = std::move(changes), done = std::move(done)]() mutable {
    executor_->Post([status = session_.Commit(epoch, std::move(changes)),
                     done = std::move(done)]() mutable { done(status); });
  });
}

void EtcdStore::ReadAudit(
    uint64_t after, uint32_t limit,
    absl::AnyInvocable<void(absl::StatusOr<std::vector<v1::AuditRecord>>)> done) {
  Enqueue([this, after, limit, done = std::move(done)]() mutable {
    executor_->Post([records = session_.ReadAudit(after, limit), done = std::move(done)]() mutable {
      done(std::move(records));
    });
  });
}

}  // namespace werkplek
