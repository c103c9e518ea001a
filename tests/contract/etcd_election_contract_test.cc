// The contract of the election by etcd, on a real member with TLS and real time.
#include "tests/contract/election_contract.h"
#include "tests/support/etcd/campaigner.h"
#include "tests/support/etcd/etcd_cluster.h"

namespace werkplek {
namespace {

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

class EtcdElectionSubject : public ElectionSubject {
 public:
  EtcdElectionSubject() : campaigner_(cluster->Client(cluster->Settings()), Own()) {}
  Election* election() override { return campaigner_.election(); }
  void Destroy() override { campaigner_.Destroy(); }
  bool Until(const std::function<bool()>& condition) override {
    return campaigner_.Until(condition);
  }
  // As long as another broker takes for an election and five renewals.
  void Long() override {
    Campaigner other(cluster->Client(cluster->Settings()), Own());
    other.Start();
    EXPECT_TRUE(other.Until([&] { return other.Count("renewed") >= 5; }));
  }

 private:
  Campaigner campaigner_;
};

INSTANTIATE_TEST_SUITE_P(All, ElectionContract,
                         ::testing::Values(ElectionKind{
                             "Etcd", [] { return std::make_unique<EtcdElectionSubject>(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace werkplek
