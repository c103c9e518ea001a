#include "common/grpc/calls_under_way.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace werkplek {
namespace {

TEST(CallsUnderWayTest, NoneIsAddedWhenAllHaveBeenEnded) {
  CallsUnderWay calls;
  auto context = std::make_unique<grpc::ClientContext>();
  ASSERT_TRUE(calls.Add(*context));
  calls.Remove(std::move(context));
  calls.CancelAndWait();
  grpc::ClientContext late;
  EXPECT_FALSE(calls.Add(late));
}

TEST(CallsUnderWayTest, WaitsForTheLastToBeRemoved) {
  CallsUnderWay calls;
  auto first = std::make_unique<grpc::ClientContext>();
  auto last = std::make_unique<grpc::ClientContext>();
  ASSERT_TRUE(calls.Add(*first));
  ASSERT_TRUE(calls.Add(*last));
  calls.Remove(std::move(first));
  std::atomic<bool> removing = false;
  std::thread call([&] {
    // Until all are being ended: from then on none is added.
    for (;;) {
      auto context = std::make_unique<grpc::ClientContext>();
      if (!calls.Add(*context)) break;
      calls.Remove(std::move(context));
    }
    removing = true;
    calls.Remove(std::move(last));
  });
  calls.CancelAndWait();
  EXPECT_TRUE(removing);
  call.join();
}

// As when a client goes while its calls end by themselves: no context is cancelled that is gone
// (AddressSanitizer would see it).
TEST(CallsUnderWayTest, CallsMayEndWhileAllAreCancelled) {
  constexpr int kRounds = 200;
  constexpr int kThreads = 4;
  for (int round = 0; round < kRounds; ++round) {
    CallsUnderWay calls;
    std::vector<std::thread> threads;
    std::atomic<int> added = 0;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (;;) {
          auto context = std::make_unique<grpc::ClientContext>();
          if (!calls.Add(*context)) return;
          ++added;
          calls.Remove(std::move(context));
        }
      });
    }
    while (added < kThreads) std::this_thread::yield();
    calls.CancelAndWait();
    const int at_the_end = added;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(added, at_the_end);
  }
}

}  // namespace
}  // namespace werkplek
