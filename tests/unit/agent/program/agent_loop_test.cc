#include "agent/program/agent_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "common/base/loop_executor.h"
#include "tests/support/fake_hypervisor/fake_hypervisor.h"

namespace werkplek {
namespace {

// What somebody else tells once.
template <typename T>
class Told {
 public:
  void Tell(T what) {
    if (!told_.exchange(true)) promise_.set_value(std::move(what));
  }
  std::optional<T> Wait() {
    if (future_.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
      return std::nullopt;
    return future_.get();
  }

 private:
  std::atomic<bool> told_ = false;
  std::promise<T> promise_;
  std::future<T> future_ = promise_.get_future();
};

// What every loop needs; a test says the rest.
AgentLoopParts PartsOn(Executor& executor, Hypervisor& hypervisor) {
  AgentLoopParts parts;
  parts.executor = &executor;
  parts.hypervisor = &hypervisor;
  parts.images.report = [](const std::string&) { return std::vector<v1::ImageReport>(); };
  parts.images.remove_leftovers = [](absl::Duration, const StopAsked&) {};
  parts.read_load = [] { return v1::HostLoad(); };
  parts.count = [](const agent::Counted&) {};
  return parts;
}

AgentCore NewCore(const AgentSettings& settings) {
  return AgentCore(settings, "hv-a1", "run-1", "boot-1", /*seen_epoch=*/0);
}

TEST(AgentLoop, ANewEpochAndTheLastHearingAreKeptWhileTheHypervisorHangs) {
  std::promise<void> go_on;
  const std::shared_future<void> hangs = go_on.get_future().share();
  Told<uint64_t> sequence;
  Told<uint64_t> epoch;
  Told<HeardState> heard;
  LoopExecutor executor("agent-test");
  FakeHypervisor hypervisor([hangs](absl::Duration) { hangs.wait(); });
  hypervisor.SetDelay(FakeHypervisor::Call::kList, absl::Seconds(30));

  AgentLoopParts parts = PartsOn(executor, hypervisor);
  parts.read_load = [hangs]() -> absl::StatusOr<v1::HostLoad> {
    hangs.wait();
    return v1::HostLoad();
  };
  parts.persist_epoch = [&epoch](uint64_t seen) {
    epoch.Tell(seen);
    return absl::OkStatus();
  };
  parts.save_heard = [&heard](const HeardState& state) {
    heard.Tell(state);
    return absl::OkStatus();
  };
  parts.send_report = [&sequence](const v1::AgentReport& report) {
    sequence.Tell(report.sequence());
  };
  const AgentSettings settings;
  AgentLoop loop(settings, NewCore(settings), std::move(parts));
  // Before the loop goes, which waits for what hangs.
  const absl::Cleanup free = [&go_on] { go_on.set_value(); };

  loop.Start();
  loop.Post(agent::LinkUp{});
  const std::optional<uint64_t> reported = sequence.Wait();
  ASSERT_TRUE(reported.has_value());
  v1::AgentCommand command;
  command.set_epoch(7);
  command.set_verb(v1::COMMAND_HEARD);
  command.set_heard_sequence(*reported);
  command.set_fence_after_ms(10'000);
  loop.Post(agent::CommandReceived{command});
  EXPECT_EQ(epoch.Wait(), 7u);
  const std::optional<HeardState> saved = heard.Wait();
  ASSERT_TRUE(saved.has_value());
  EXPECT_EQ(saved->fence_after, absl::Seconds(10));
}

TEST(AgentLoop, LeftoversGoOnceItRunsAndNobodyWaitsForThat) {
  std::promise<void> go_on;
  const std::shared_future<void> hangs = go_on.get_future().share();
  Told<bool> removing;
  Told<bool> adopted;
  LoopExecutor executor("agent-test");
  FakeHypervisor hypervisor;

  AgentLoopParts parts = PartsOn(executor, hypervisor);
  parts.images.remove_leftovers = [&removing, hangs](absl::Duration, const StopAsked&) {
    removing.Tell(true);
    hangs.wait();
  };
  parts.send_report = [&adopted](const v1::AgentReport& report) {
    if (report.adopted()) adopted.Tell(true);
  };
  const AgentSettings settings;
  AgentLoop loop(settings, NewCore(settings), std::move(parts));
  const absl::Cleanup free = [&go_on] { go_on.set_value(); };

  loop.Start();
  loop.Post(agent::LinkUp{});
  EXPECT_TRUE(removing.Wait().has_value());
  EXPECT_TRUE(adopted.Wait().has_value());
}

// What others do in an hour or more, it does soon.
class HastyExecutor : public LoopExecutor {
 public:
  using LoopExecutor::LoopExecutor;
  void PostAfter(absl::Duration delay, Task task) override {
    LoopExecutor::PostAfter(delay < absl::Hours(1) ? delay : absl::ZeroDuration(), std::move(task));
  }
};

TEST(AgentLoop, LeftoversGoAgainAndAgain) {
  Told<bool> third;
  std::atomic<int> times = 0;
  HastyExecutor executor("agent-test");
  FakeHypervisor hypervisor;

  AgentLoopParts parts = PartsOn(executor, hypervisor);
  parts.images.remove_leftovers = [&](absl::Duration now, const StopAsked& stop) {
    if (++times > 3) return;
    EXPECT_GT(now, absl::ZeroDuration());
    EXPECT_FALSE(stop());
    if (times == 3) third.Tell(true);
  };
  const AgentSettings settings;
  AgentLoop loop(settings, NewCore(settings), std::move(parts));
  loop.Start();
  EXPECT_TRUE(third.Wait().has_value());
}

TEST(AgentLoop, LeftoversAreGivenUpWhenItEnds) {
  Told<bool> removing;
  LoopExecutor executor("agent-test");
  FakeHypervisor hypervisor;

  AgentLoopParts parts = PartsOn(executor, hypervisor);
  parts.images.remove_leftovers = [&removing](absl::Duration, const StopAsked& stop) {
    removing.Tell(true);
    while (!stop()) std::this_thread::yield();
  };
  const AgentSettings settings;
  AgentLoop loop(settings, NewCore(settings), std::move(parts));
  loop.Start();
  EXPECT_TRUE(removing.Wait().has_value());
}

}  // namespace
}  // namespace werkplek
