#include "broker/program/offline_store.h"

#include <future>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/election/etcd_election.h"
#include "broker/etcd/leadership.h"
#include "broker/store/etcd_store.h"
#include "broker/store/sqlite_store.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr absl::Duration kFindLimit = absl::Seconds(10);
constexpr std::chrono::seconds kClaimLimit(15);

// Waits for what `start` gives to its callback.
template <typename Answer, typename Start>
Answer WaitFor(Start start) {
  auto promise = std::make_shared<std::promise<Answer>>();
  start([promise](Answer answer) { promise->set_value(std::move(answer)); });
  return promise->get_future().get();
}

}  // namespace

// In the order of building; destroyed in reverse.
struct OfflineStore::Parts {
  // What an answer wakes outlives the loop that answers.
  std::promise<uint64_t> elected;
  bool was_elected = false;
  LoopExecutor executor{"tool"};
  LoopExecutor timers{"election"};
  std::unique_ptr<EtcdClient> client;
  std::unique_ptr<Store> store;
  std::unique_ptr<EtcdElection> election;
  uint64_t epoch = 0;
};

absl::Status OfflineStore::OpenFile(const StoreConfig& config, Parts& parts) {
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteStore> store,
                   SqliteStore::Open(config.sqlite_file, &parts.executor));
  ASSIGN_OR_RETURN(parts.epoch, WaitFor<absl::StatusOr<uint64_t>>(
                                    [&](auto done) { store->ClaimEpoch(std::move(done)); }));
  parts.store = std::move(store);
  return absl::OkStatus();
}

absl::Status OfflineStore::OpenEtcd(const StoreConfig& config, Parts& parts) {
  ASSIGN_OR_RETURN(parts.client, EtcdClient::Create(config.etcd));
  const EtcdKeys keys(config.etcd.prefix);
  const auto leader = WaitFor<absl::StatusOr<EtcdLeader>>(
      [&](auto done) { FindLeader(parts.client.get(), keys, kFindLimit, std::move(done)); });
  if (leader.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store in etcd under ", config.etcd.prefix, " is in use by ",
        leader->record.name().empty() ? "another tool" : "broker/" + leader->record.name(),
        "; stop every broker first"));
  }
  if (!absl::IsNotFound(leader.status())) return leader.status();
  EtcdElectionSettings settings;
  settings.lease_ttl = config.lease_ttl;
  parts.store = std::make_unique<EtcdStore>(config.etcd_store, parts.client.get(), &parts.executor);
  parts.election =
      std::make_unique<EtcdElection>(settings, parts.client.get(), &parts.timers, &parts.executor);
  // Only the first lead counts: whoever loses it is told by the store.
  parts.election->Start(
      [&parts](uint64_t epoch) {
        if (!std::exchange(parts.was_elected, true)) parts.elected.set_value(epoch);
      },
      [] {});
  std::future<uint64_t> epoch = parts.elected.get_future();
  if (epoch.wait_for(kClaimLimit) != std::future_status::ready) {
    return absl::UnavailableError(
        "the lead in etcd could not be claimed; see the warnings above, or stop every broker");
  }
  parts.epoch = epoch.get();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<OfflineStore>> OfflineStore::Open(const StoreConfig& config) {
  auto parts = std::make_unique<Parts>();
  RETURN_IF_ERROR(config.in_etcd ? OpenEtcd(config, *parts) : OpenFile(config, *parts));
  return std::unique_ptr<OfflineStore>(new OfflineStore(std::move(parts)));
}

OfflineStore::OfflineStore(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)), epoch_(parts_->epoch) {}

OfflineStore::~OfflineStore() = default;

absl::Status OfflineStore::TakeEpoch(uint64_t epoch) {
  epoch_ = epoch;
  return Load().status();
}

absl::StatusOr<Fleet> OfflineStore::Load() {
  return WaitFor<absl::StatusOr<Fleet>>(
      [&](auto done) { parts_->store->Load(epoch_, std::move(done)); });
}

absl::Status OfflineStore::Commit(ChangeSet changes) {
  return WaitFor<absl::Status>(
      [&](auto done) { parts_->store->Commit(epoch_, std::move(changes), std::move(done)); });
}

absl::StatusOr<std::vector<v1::AuditRecord>> OfflineStore::ReadAudit(uint64_t after,
                                                                     uint32_t limit) {
  return WaitFor<absl::StatusOr<std::vector<v1::AuditRecord>>>(
      [&](auto done) { parts_->store->ReadAudit(after, limit, std::move(done)); });
}

}  // namespace werkplek
