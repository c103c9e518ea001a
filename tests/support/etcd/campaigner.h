// An EtcdElection with its loops, for tests: what it says is kept, and may be waited for.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/election/etcd_election.h"
#include "common/base/loop_executor.h"
#include "common/base/mutex.h"

namespace werkplek {

// What several campaigners said, in the order in which they said it. Thread-safe.
class CampaignNews {
 public:
  void Add(const std::string& news) {
    MutexLock lock(mutex_);
    all_.push_back(news);
  }
  std::vector<std::string> all() {
    MutexLock lock(mutex_);
    return all_;
  }

 private:
  Mutex mutex_;
  std::vector<std::string> all_ ABSL_GUARDED_BY(mutex_);
};

class Campaigner {
 public:
  // The shortest lease that etcd grants by default.
  static constexpr absl::Duration kTtl = absl::Seconds(2);

  Campaigner(std::unique_ptr<EtcdClient> client, LeaderInfo own, CampaignNews* news = nullptr,
             absl::Duration ttl = kTtl)
      : own_(own), news_(news), client_(std::move(client)) {
    EtcdElectionSettings settings;
    settings.own = std::move(own);
    settings.lease_ttl = ttl;
    settings.poll = absl::Milliseconds(100);
    election_ = std::make_unique<EtcdElection>(settings, client_.get(), &timers_, &callbacks_,
                                               [this](absl::string_view what) {
                                                 MutexLock lock(mutex_);
                                                 ++counts_[std::string(what)];
                                               });
  }
  ~Campaigner() { Destroy(); }

  Election* election() { return election_.get(); }
  EtcdClient* client() { return client_.get(); }
  Executor* callbacks() { return &callbacks_; }
  void Destroy() {
    election_.reset();
    client_.reset();
  }

  // Campaigns; "NAME elected EPOCH" and "NAME lost" go to the news.
  void Start() {
    election_->Start(
        [this](uint64_t epoch) {
          {
            MutexLock lock(mutex_);
            epoch_ = epoch;
          }
          if (news_ != nullptr) news_->Add(absl::StrCat(own_.name, " elected ", epoch));
        },
        [this] {
          {
            MutexLock lock(mutex_);
            epoch_ = 0;
          }
          if (news_ != nullptr) news_->Add(own_.name + " lost");
        });
  }
  // As by kill -9: no renewal, no goodbye, no news.
  void Vanish() {
    timers_.Stop();
    callbacks_.Stop();
  }
  // 0: it does not lead.
  uint64_t epoch() {
    MutexLock lock(mutex_);
    return epoch_;
  }
  int Count(const std::string& what) {
    MutexLock lock(mutex_);
    return counts_[what];
  }
  // Waits, 30 s at most. False: it never held.
  static bool Until(const std::function<bool()>& condition) {
    Mutex mutex;
    CondVar never;
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      MutexLock lock(mutex);
      never.WaitFor(mutex, absl::Milliseconds(10));
    }
    return condition();
  }

 private:
  const LeaderInfo own_;
  CampaignNews* const news_;
  Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mutex_);
  LoopExecutor timers_{"election"};
  LoopExecutor callbacks_{"callbacks"};
  std::unique_ptr<EtcdClient> client_;
  std::unique_ptr<EtcdElection> election_;
};

}  // namespace werkplek
