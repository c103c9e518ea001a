// The time that real etcd members tell over TLS.
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "broker/etcd/clock_watch.h"
#include "tests/support/etcd/etcd_cluster.h"

namespace werkplek {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(10);

TEST(MemberTime, AMemberTellsItsTime) {
  EtcdCluster cluster;
  const EtcdSettings settings = cluster.Settings();
  const absl::Time before = absl::Now();
  const auto said = AskEtcdForTime(settings)(settings.endpoints[0], kLimit);
  ASSERT_TRUE(said.ok()) << said.status();
  EXPECT_GT(*said, before - absl::Seconds(1));
  EXPECT_LE(*said, absl::Now());
}

TEST(MemberTime, AMemberThatIsGoneOrHasAnotherAuthorityTellsNothing) {
  EtcdCluster cluster;
  EtcdSettings settings = cluster.Settings();
  const std::string endpoint = settings.endpoints[0];
  TestPki other;
  settings.ca = other.Issue(v1::IDENTITY_BROKER, "b").ca;
  EXPECT_EQ(AskEtcdForTime(settings)(endpoint, kLimit).status().code(),
            absl::StatusCode::kUnavailable);
  cluster.Kill(0);
  EXPECT_EQ(AskEtcdForTime(cluster.Settings())(endpoint, kLimit).status().code(),
            absl::StatusCode::kUnavailable);
  settings.key = "/nonexistent";
  EXPECT_EQ(AskEtcdForTime(settings)(endpoint, kLimit).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace werkplek
