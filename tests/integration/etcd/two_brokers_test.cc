// Two real broker programs on one etcd member: one leads, and the other takes over.
#include <signal.h>

#include <future>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/etcd/leadership.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/etcd/campaigner.h"
#include "tests/support/etcd/etcd_cluster.h"
#include "tests/unit/broker/program/running_broker.h"

namespace werkplek {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string StoreSection(const EtcdSettings& settings) {
  return absl::StrCat("store:\n  etcd:\n    endpoints: [\"",
                      absl::StrJoin(settings.endpoints, "\", \""),
                      "\"]\n    certificate: ", settings.certificate, "\n    key: ", settings.key,
                      "\n    ca: ", settings.ca, "\n    prefix: ", settings.prefix,
                      "\n    lease_ttl: 2s\n", "    request_timeout: 500ms\n");
}

class TwoBrokersTest : public ::testing::Test {
 protected:
  std::vector<std::pair<std::string, std::string>> Replacements(int port) {
    return {{"tls:\n", absl::StrCat("  advertise_clients: 127.0.0.1:", port,
                                    "\n  advertise_agents: 127.0.0.1:", port + 1, "\n",
                                    StoreSection(settings_), "tls:\n")}};
  }
  // Empty: nobody leads.
  std::string LeaderAddress() {
    auto found = std::make_shared<std::promise<std::string>>();
    FindLeader(client_.get(), EtcdKeys(settings_.prefix), absl::Seconds(5),
               [found](const absl::StatusOr<EtcdLeader>& leader) {
                 found->set_value(leader.ok() ? leader->record.client_address() : "");
               });
    return found->get_future().get();
  }
  bool UntilLeads(const std::string& address) {
    return Campaigner::Until([&] { return LeaderAddress() == address; });
  }

  EtcdCluster cluster_;
  const EtcdSettings settings_ = cluster_.Settings();
  const std::unique_ptr<EtcdClient> client_ = cluster_.Client(settings_);
};

TEST_F(TwoBrokersTest, OneLeadsAndTheOtherTakesOverUnderAHigherEpoch) {
  RunningBroker first(Replacements(2001));
  RunningBroker second(Replacements(2003));
  ASSERT_TRUE(first.Start()) << first.Log();
  EXPECT_EQ(LeaderAddress(), "127.0.0.1:2001");
  EXPECT_THAT(first.Log(), HasSubstr("event=leading epoch=1"));
  ASSERT_TRUE(second.Start()) << second.Log();
  EXPECT_THAT(second.Log(), Not(HasSubstr("event=elected")));
  // A leader that is killed leaves its lease behind.
  first.Stop(SIGKILL);
  ASSERT_TRUE(UntilLeads("127.0.0.1:2003")) << second.Log();
  ASSERT_TRUE(Campaigner::Until([&] {
    return second.Log().find("event=leading epoch=2") != std::string::npos;
  })) << second.Log();
  // One that is stopped gives it back.
  ASSERT_TRUE(first.Start()) << first.Log();
  EXPECT_EQ(second.Stop(SIGTERM), 0) << second.Log();
  ASSERT_TRUE(UntilLeads("127.0.0.1:2001")) << first.Log();
  ASSERT_TRUE(Campaigner::Until([&] {
    return first.Log().find("event=leading epoch=3") != std::string::npos;
  })) << first.Log();
  EXPECT_EQ(first.Stop(SIGTERM), 0) << first.Log();
  EXPECT_EQ(LeaderAddress(), "");
}

TEST_F(TwoBrokersTest, TheFirstAdminIsEnrolledWhileNoBrokerRuns) {
  RunningBroker broker(Replacements(2001));
  ASSERT_TRUE(broker.Start()) << broker.Log();
  EXPECT_THAT(broker.Command({"enrol-first-admin", "--user", "jan"}),
              HasSubstr("is in use by broker/b1; stop every broker first"));
  EXPECT_EQ(broker.Stop(SIGTERM), 0);
  EXPECT_THAT(broker.Command({"enrol-first-admin", "--user", "jan"}), HasSubstr("otpauth://totp/"));
  EXPECT_THAT(broker.Command({"enrol-first-admin", "--user", "piet"}),
              HasSubstr("is enrolled already"));
  EXPECT_THAT(cluster_.Ctl({"get", settings_.prefix + "log", "--prefix"}),
              HasSubstr("token.enrol-first-admin"));
}

}  // namespace
}  // namespace werkplek
