// The contract of the store in etcd, on a real member with TLS.
#include "broker/store/etcd_store.h"
#include "tests/contract/store_contract.h"
#include "tests/support/etcd/etcd_cluster.h"

namespace werkplek {
namespace {

// One member for all tests; each has a prefix of its own.
EtcdCluster* cluster = nullptr;

class ClusterEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { cluster = new EtcdCluster(); }
  void TearDown() override {
    delete cluster;
    cluster = nullptr;
  }
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new ClusterEnvironment);

class EtcdSubject : public Subject {
 public:
  explicit EtcdSubject(EtcdStoreSettings store_settings)
      : store_settings_(store_settings), settings_(cluster->Settings()) {
    Reopen();
  }
  ~EtcdSubject() override { store_.reset(); }
  Store* store() override { return store_.get(); }
  void Reopen() override {
    store_.reset();
    client_ = cluster->Client(settings_);
    store_ = std::make_unique<EtcdStore>(store_settings_, client_.get(), &executor);
  }
  void Claim(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) override {
    store_->ClaimEpoch(std::move(done));
  }
  bool trims() const override { return store_settings_.audit_records != 0; }

 private:
  const EtcdStoreSettings store_settings_;
  const EtcdSettings settings_;
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdStore> store_;
};

EtcdStoreSettings FoldAlways() {
  EtcdStoreSettings settings;
  settings.fold_entries = 1;
  settings.audit_records = kAuditRecords;
  settings.max_operations = 3;
  return settings;
}

// Large commits go in many parts.
EtcdStoreSettings SmallRequests() {
  EtcdStoreSettings settings;
  settings.max_request_bytes = 256;
  return settings;
}

INSTANTIATE_TEST_SUITE_P(
    All, StoreContract,
    ::testing::Values(
        StoreKind{"Etcd", [] { return std::make_unique<EtcdSubject>(EtcdStoreSettings{}); }},
        StoreKind{"EtcdFolding", [] { return std::make_unique<EtcdSubject>(FoldAlways()); }},
        StoreKind{"EtcdInParts", [] { return std::make_unique<EtcdSubject>(SmallRequests()); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace werkplek
