// The contract of the stores that need no server.
#include "tests/contract/store_contract.h"

#include "broker/store/memory_store.h"
#include "broker/store/sqlite_store.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

class MemorySubject : public Subject {
 public:
  Store* store() override { return &store_; }
  void Reopen() override {}
  void Claim(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) override {
    store_.ClaimEpoch(std::move(done));
  }

 private:
  MemoryStore store_{&executor};
};

class SqliteSubject : public Subject {
 public:
  SqliteSubject() { Reopen(); }
  ~SqliteSubject() override { store_.reset(); }
  Store* store() override { return store_.get(); }
  void Reopen() override {
    store_.reset();
    auto opened = SqliteStore::Open(folder_.path() + "/broker.db", &executor, kAuditRecords);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  void Claim(absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) override {
    store_->ClaimEpoch(std::move(done));
  }
  bool trims() const override { return true; }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<SqliteStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    All, StoreContract,
    ::testing::Values(StoreKind{"Memory", [] { return std::make_unique<MemorySubject>(); }},
                      StoreKind{"Sqlite", [] { return std::make_unique<SqliteSubject>(); }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace werkplek
