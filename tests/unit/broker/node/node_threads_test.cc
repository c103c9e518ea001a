// The node under real threads: many callers, a real loop, a real store, and a stop in the middle.
#include <atomic>
#include <chrono>
#include <thread>

#include "broker/election/standalone_election.h"
#include "broker/node/broker_node.h"
#include "broker/store/sqlite_store.h"
#include "broker/token/token_authority.h"
#include "common/base/log.h"
#include "common/base/loop_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_agent_links.h"
#include "tests/support/fake_directory.h"
#include "tests/support/process/child_process.h"

namespace werkplek {
namespace {

class NodeThreadsTest : public ::testing::Test {
 protected:
  NodeThreadsTest() {
    SetLogSink([](const std::string&) {});
    store_ = *SqliteStore::Open(folder_.File("broker.db"), &executor_);
    election_ = std::make_unique<StandaloneElection>(
        &executor_, [this](auto done) { store_->ClaimEpoch(std::move(done)); });
    tokens_ = *TokenAuthority::Create(Secret(std::string(32, 'k')), "Werkplek");
    directory_.AddPerson("jan", "jan-password", {"staff"});
    NodeParts parts;
    parts.executor = &executor_;
    parts.store = store_.get();
    parts.election = election_.get();
    parts.directory = &directory_;
    parts.agents = &links_;
    parts.tokens = tokens_.get();
    node_ = std::make_unique<BrokerNode>(NodeSettings(), parts);
  }
  ~NodeThreadsTest() override {
    node_.reset();
    executor_.Stop();
    SetLogSink(nullptr);
  }

  void WaitUntilLeading() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (node_->picture() == nullptr) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }

  TemporaryFolder folder_;
  LoopExecutor executor_{"node"};
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<StandaloneElection> election_;
  std::unique_ptr<TokenAuthority> tokens_;
  FakeDirectory directory_{&executor_};
  FakeAgentLinks links_;
  std::unique_ptr<BrokerNode> node_;
};

TEST_F(NodeThreadsTest, EveryCallIsAnsweredOnceAlsoAroundAStop) {
  node_->Start();
  WaitUntilLeading();
  constexpr int kThreads = 4;
  constexpr int kEach = 200;
  std::vector<std::atomic<int>> answers(kThreads * kEach);
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Caller caller;
      caller.identity = v1::IDENTITY_CLIENT;
      caller.peer = "client/tc-" + std::to_string(t);
      caller.certificate_sha256 = std::string(32, 'c');
      for (int i = 0; i < kEach; ++i) {
        const int n = t * kEach + i;
        const auto count = [&answers, &done, n] {
          ++answers[n];
          ++done;
        };
        switch (i % 4) {
          case 0: {
            v1::SignInRequest request;
            request.set_request_id("r" + std::to_string(n));
            request.set_user("jan");
            request.set_password("jan-password");
            request.set_token_code("123456");
            node_->SignIn(caller, request, [count](const absl::StatusOr<MessagePointer>& answer) {
              EXPECT_FALSE(answer.ok());
              count();
            });
            break;
          }
          case 1:
            node_->Call(caller, std::make_shared<v1::SignOutRequest>(),
                        [count](const absl::StatusOr<MessagePointer>&) { count(); });
            break;
          case 2:
            node_->Connect(caller, v1::ConnectRequest(),
                           [count](const absl::StatusOr<v1::ConnectUpdate>&, bool last) {
                             if (last) count();
                           });
            break;
          default: {
            const std::string host = "hv-" + std::to_string(t);
            const uint64_t link = node_->AgentAttached(host);
            node_->AgentReported(host, link, v1::AgentReport());
            node_->AgentDetached(host, link);
            const uint64_t watch = node_->Watch([](const Committed&) {});
            node_->Unwatch(watch);
            count();
          }
        }
        // The stop comes while others call.
        if (t == 0 && i == kEach / 2) node_->Stop();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  node_->Stop();
  EXPECT_EQ(done.load(), kThreads * kEach) << "all were answered when Stop had returned";
  for (const std::atomic<int>& each : answers) EXPECT_EQ(each.load(), 1);
}

TEST_F(NodeThreadsTest, MayGoWhileItLoads) {
  node_->Start();
  node_.reset();
  SUCCEED();
}

}  // namespace
}  // namespace werkplek
