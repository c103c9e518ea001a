#include "tests/bench/assignment_load.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "broker/election/standalone_election.h"
#include "broker/node/broker_node.h"
#include "broker/store/sqlite_store.h"
#include "broker/token/token_authority.h"
#include "common/base/loop_executor.h"
#include "common/base/status_macros.h"
#include "tests/bench/bench_fleet.h"

namespace werkplek {
namespace {

// Nobody signs in here.
class NoDirectory : public Directory {
 public:
  void Authenticate(const std::string&, const Secret&,
                    absl::AnyInvocable<void(DirectoryAnswer)> done) override {
    done({DirectoryOutcome::kUnavailable, "", {}, {}});
  }
  void Find(const std::string&,
            absl::AnyInvocable<void(absl::StatusOr<DirectoryPerson>)> done) override {
    done(absl::UnavailableError("no directory"));
  }
};

// People, `in_flight` at once, each asking once.
class People {
 public:
  People(const AssignmentLoadSettings& settings, BrokerNode& node)
      : settings_(settings), node_(node), last_(settings.warm_up + settings.count) {}

  LoadResult Run() {
    for (int i = 0; i < settings_.in_flight; ++i) Ask();
    MutexLock lock(mutex_);
    while (answered_ < last_) {
      if (!changed_.WaitFor(mutex_, absl::Seconds(30))) break;
    }
    result_.failed += static_cast<uint64_t>(last_ - answered_);
    result_.took = ended_ - began_;
    return result_;
  }

 private:
  void Ask() {
    const int turn = next_.fetch_add(1);
    if (turn >= last_) return;
    v1::ConnectRequest request;
    request.set_request_id(absl::StrCat("bench-", turn));
    request.set_pool(kBenchPool);
    const absl::Duration began = BenchClock();
    if (turn == settings_.warm_up) {
      MutexLock lock(mutex_);
      began_ = began;
      result_.cpu = CpuTimes({0});
    }
    node_.Connect(BenchCaller(turn), request,
                  [this, turn, began, told = false](const absl::StatusOr<v1::ConnectUpdate>& update,
                                                    bool) mutable {
                    if (std::exchange(told, true)) return;
                    Take(turn, began, update);
                    Ask();
                  });
  }

  void Take(int turn, absl::Duration began, const absl::StatusOr<v1::ConnectUpdate>& update) {
    const absl::Duration now = BenchClock();
    MutexLock lock(mutex_);
    if (!update.ok() || !update->has_preparing()) {
      ++result_.failed;
      if (result_.failure.empty()) {
        result_.failure =
            update.ok() ? update->ShortDebugString() : std::string(update.status().message());
      }
    } else if (turn >= settings_.warm_up) {
      result_.latencies.push_back(now - began);
      ++result_.done;
      ended_ = now;
    }
    if (++answered_ != last_) return;
    result_.cpu = CpuSince(result_.cpu);
    changed_.Signal();
  }

  const AssignmentLoadSettings& settings_;
  BrokerNode& node_;
  const int last_;
  std::atomic<int> next_ = 0;
  Mutex mutex_;
  CondVar changed_;
  int answered_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Duration began_ ABSL_GUARDED_BY(mutex_);
  absl::Duration ended_ ABSL_GUARDED_BY(mutex_);
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
};

absl::Status WaitUntilHostsAreUp(const BrokerNode& node, int hosts) {
  const absl::Duration deadline = BenchClock() + absl::Seconds(20);
  while (BenchClock() < deadline) {
    const Picture fleet = node.picture();
    int up = 0;
    if (fleet != nullptr) {
      for (const auto& entry : fleet->host_soft) up += entry.record->liveness == v1::LIVENESS_UP;
    }
    if (up == hosts) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return absl::DeadlineExceededError("the hosts did not come up");
}

}  // namespace

absl::StatusOr<LoadResult> RunAssignmentLoad(const AssignmentLoadSettings& settings) {
  const int desktops = settings.warm_up + settings.count;
  LoopExecutor loop("broker");
  ASSIGN_OR_RETURN(const auto store, SqliteStore::Open(settings.file, &loop));
  RETURN_IF_ERROR(FillBenchStore(*store, desktops, settings.hosts, loop.Now()));
  StandaloneElection election(&loop,
                              [&store](absl::AnyInvocable<void(absl::StatusOr<uint64_t>)> done) {
                                store->ClaimEpoch(std::move(done));
                              });
  NoDirectory directory;
  BenchHosts hosts(desktops, settings.hosts);
  ASSIGN_OR_RETURN(const auto tokens,
                   TokenAuthority::Create(Secret(RandomBytes(32)), "Gemeente Voorbeeld"));
  NodeParts parts;
  parts.executor = &loop;
  parts.store = store.get();
  parts.election = &election;
  parts.directory = &directory;
  parts.agents = &hosts;
  parts.tokens = tokens.get();
  BrokerNode node(NodeSettings{}, parts);
  node.Start();
  hosts.Attach(node);
  std::promise<void> end;
  std::thread reporter([&hosts, &node, ended = end.get_future()] {
    do {
      hosts.Report(node);
    } while (ended.wait_for(std::chrono::seconds(1)) == std::future_status::timeout);
  });
  const absl::Cleanup stop = [&] {
    end.set_value();
    reporter.join();
    node.Stop();
    loop.Stop();
  };
  RETURN_IF_ERROR(WaitUntilHostsAreUp(node, settings.hosts));
  People people(settings, node);
  return people.Run();
}

}  // namespace werkplek
