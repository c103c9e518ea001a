// A broker whose leader is not there, says nothing, or dies.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/rpc/generic_call.h"
#include "tests/integration/rpc/several_brokers.h"

namespace werkplek {
namespace {

using grpc::StatusCode;

using NoLeader = SeveralBrokers;

TEST_F(NoLeader, WithoutALeaderTheAnswerComesInTimeAndNoPasswordIsTried) {
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  brokers_.ElectNobody();
  const int asked = brokers_.AskedDirectory(1);
  for (const size_t broker : {0, 1}) {
    const absl::Time began = absl::Now();
    const GenericAnswer read = Call(client_[broker], {.path = kListPools, .token = *token});
    EXPECT_EQ(read.status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_TRUE(absl::StrContains(read.status.error_message(), "temporarily unavailable"));
    EXPECT_NE(read.retry_after_ms, "");
    const absl::Status sign_in = BrokerGroup::SignIn(client_[broker], "jan", "", "", "x").status();
    EXPECT_EQ(sign_in.code(), absl::StatusCode::kUnavailable) << sign_in;
    EXPECT_TRUE(absl::StrContains(sign_in.message(), "temporarily unavailable")) << sign_in;
    EXPECT_LT(absl::Now() - began, kNoLeaderLimit);
  }
  EXPECT_EQ(brokers_.AskedDirectory(1), asked);
}

// A leader whose machine takes connections and says nothing.
class SilentLeader {
 public:
  SilentLeader() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    good_ = bind(socket_, generic, size) == 0 && listen(socket_, 64) == 0 &&
            getsockname(socket_, generic, &size) == 0;
    const std::string where = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
    info_ = {.epoch = 99, .name = "b9", .client_address = where, .agent_address = where};
  }
  ~SilentLeader() { close(socket_); }
  bool good() const { return good_; }
  const LeaderInfo& info() const { return info_; }

 private:
  const int socket_;
  bool good_ = false;
  LeaderInfo info_;
};

TEST_F(NoLeader, ALeaderThatSaysNothingIsGivenUpInTime) {
  SilentLeader silent;
  ASSERT_TRUE(silent.good());
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  brokers_.Hears(1, silent.info());
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (brokers_.link(1).leader().name != "b9" && absl::Now() < until) std::this_thread::yield();
  const int asked = brokers_.AskedDirectory(1);
  for (int i = 0; i < 3; ++i) {
    const absl::Time began = absl::Now();
    const GenericAnswer read = Call(client_[1], {.path = kListPools, .token = *token});
    EXPECT_EQ(read.status.error_code(), StatusCode::UNAVAILABLE) << read.status.error_message();
    EXPECT_TRUE(absl::StrContains(read.status.error_message(), "temporarily unavailable"))
        << read.status.error_message();
    EXPECT_LT(absl::Now() - began, kNoLeaderLimit);
  }
  const absl::Time began = absl::Now();
  EXPECT_EQ(BrokerGroup::SignIn(client_[1], "jan").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(absl::Now() - began, kNoLeaderLimit);
  EXPECT_EQ(brokers_.AskedDirectory(1), asked);
  // The true leader is found again.
  brokers_.Elect(0);
  EXPECT_TRUE(Call(client_[1], {.path = kListPools, .token = *token}).status.ok());
}

using Seen = std::pair<uint64_t, LeaderSign>;

bool Becomes(absl::FunctionRef<bool()> condition) {
  const absl::Time until = absl::Now() + absl::Seconds(10);
  while (!condition() && absl::Now() < until) std::this_thread::yield();
  return condition();
}

TEST_F(NoLeader, ALeaderWhosePortIsClosedIsTakenForGone) {
  EXPECT_THAT(brokers_.SeenBy(1), testing::IsEmpty());
  const uint64_t epoch = brokers_.info(0).epoch;
  brokers_.ClosePorts(0);
  ASSERT_TRUE(Becomes([&] {
    return testing::Value(brokers_.SeenBy(1), testing::Contains(Seen(epoch, LeaderSign::kGone)));
  }));
}

TEST_F(NoLeader, ALeaderThatSaysNothingIsSilentAndNotGone) {
  SilentLeader silent;
  ASSERT_TRUE(silent.good());
  brokers_.Hears(1, silent.info());
  ASSERT_TRUE(Becomes([&] { return brokers_.SeenBy(1).size() >= 3; }));
  EXPECT_THAT(brokers_.SeenBy(1), testing::Each(Seen(99, LeaderSign::kSilent)));
}

// A broker that was never reached may be behind a wall that refuses for it: two who take each other
// for gone would take the lead from each other all the time.
TEST_F(NoLeader, ALeaderThatWasNeverReachedIsNotTakenForGone) {
  const LeaderInfo nobody = [] {
    SilentLeader closed;
    return closed.info();
  }();
  brokers_.Hears(1, nobody);
  ASSERT_TRUE(Becomes([&] { return brokers_.SeenBy(1).size() >= 8; }));
  EXPECT_THAT(brokers_.SeenBy(1), testing::Each(Seen(99, LeaderSign::kSilent)));
}

TEST_F(NoLeader, ALeaderThatDiesIsNoVerdict) {
  const auto token = BrokerGroup::SignIn(client_[1], "jan");
  ASSERT_TRUE(token.ok());
  brokers_.StopServer(0);
  const absl::Time began = absl::Now();
  const GenericAnswer read = Call(client_[1], {.path = kListPools, .token = *token});
  EXPECT_EQ(read.status.error_code(), StatusCode::UNAVAILABLE) << read.status.error_message();
  const absl::Status sign_in = BrokerGroup::SignIn(client_[1], "jan").status();
  EXPECT_EQ(sign_in.code(), absl::StatusCode::kUnavailable) << sign_in;
  EXPECT_LT(absl::Now() - began, kNoLeaderLimit);
}

}  // namespace
}  // namespace werkplek
