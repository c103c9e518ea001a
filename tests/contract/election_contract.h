// What every Election promises. A test binary includes this once and instantiates ElectionContract
// with the elections it is about.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/node/ports.h"
#include "common/base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace werkplek {

inline LeaderInfo Own() { return {0, "b1", "127.0.0.1:1", "127.0.0.1:2"}; }

// An election in a world of its own, where nobody else runs for the lead.
class ElectionSubject {
 public:
  virtual ~ElectionSubject() = default;
  virtual Election* election() = 0;
  virtual void Destroy() = 0;
  // Lets time pass until `condition` holds. False: it never did.
  virtual bool Until(const std::function<bool()>& condition) = 0;
  // Lets so much time pass that whatever was about to happen has happened.
  virtual void Long() = 0;
};

struct ElectionKind {
  std::string name;
  std::function<std::unique_ptr<ElectionSubject>()> make;
};

class ElectionContract : public ::testing::TestWithParam<ElectionKind> {
 protected:
  void SetUp() override {
    subject_ = GetParam().make();
    election_ = subject_->election();
  }
  void TearDown() override { subject_.reset(); }
  void Start() {
    election_->Start([this](uint64_t epoch) { Hear(absl::StrCat("elected ", epoch)); },
                     [this] { Hear("lost"); });
  }
  void Hear(const std::string& news) {
    MutexLock lock(mutex_);
    heard_.push_back(news);
  }
  std::vector<std::string> heard() {
    MutexLock lock(mutex_);
    return heard_;
  }
  bool UntilHeard(size_t count) {
    return subject_->Until([&] { return heard().size() >= count; });
  }

  std::unique_ptr<ElectionSubject> subject_;
  Election* election_ = nullptr;
  Mutex mutex_;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mutex_);
};

TEST_P(ElectionContract, ElectsOnce) {
  Start();
  ASSERT_TRUE(UntilHeard(1));
  subject_->Long();
  EXPECT_THAT(heard(), ::testing::ElementsAre("elected 1"));
}

TEST_P(ElectionContract, AStepDownLosesThenElectsUnderAHigherEpoch) {
  Start();
  ASSERT_TRUE(UntilHeard(1));
  election_->StepDown();
  ASSERT_TRUE(UntilHeard(3));
  election_->StepDown();
  ASSERT_TRUE(UntilHeard(5));
  EXPECT_THAT(heard(),
              ::testing::ElementsAre("elected 1", "lost", "elected 2", "lost", "elected 3"));
}

TEST_P(ElectionContract, SaysNothingAfterStop) {
  Start();
  election_->Stop();
  const size_t before = heard().size();
  subject_->Long();
  EXPECT_EQ(heard().size(), before);
}

TEST_P(ElectionContract, SaysNothingAfterStopOfALeader) {
  Start();
  ASSERT_TRUE(UntilHeard(1));
  election_->StepDown();
  election_->Stop();
  const size_t before = heard().size();
  subject_->Long();
  EXPECT_EQ(heard().size(), before);
}

TEST_P(ElectionContract, MayGoWhileNewsIsUnderWay) {
  Start();
  subject_->Destroy();
  const size_t before = heard().size();
  subject_->Long();
  EXPECT_EQ(heard().size(), before);
}

TEST_P(ElectionContract, WhatIsSeenOfLeadersDoesNotConcernTheOneThatLeads) {
  election_->LeaderSeen(1, LeaderSign::kGone);
  Start();
  ASSERT_TRUE(UntilHeard(1));
  for (const uint64_t epoch : {0, 1, 2}) {
    election_->LeaderSeen(epoch, LeaderSign::kSilent);
    election_->LeaderSeen(epoch, LeaderSign::kGone);
  }
  subject_->Long();
  EXPECT_THAT(heard(), ::testing::ElementsAre("elected 1"));
  election_->Stop();
  election_->LeaderSeen(1, LeaderSign::kGone);
  subject_->Long();
  EXPECT_THAT(heard(), ::testing::ElementsAre("elected 1"));
}

TEST_P(ElectionContract, TellsWhoLeads) {
  std::vector<std::string> leaders;
  Mutex mutex;
  const auto told = [&] {
    MutexLock lock(mutex);
    return leaders;
  };
  election_->WatchLeader([&](const LeaderInfo& leader) {
    MutexLock lock(mutex);
    leaders.push_back(absl::StrCat(leader.epoch, " ", leader.name, " ", leader.client_address, " ",
                                   leader.agent_address));
  });
  EXPECT_EQ(election_->leader(), LeaderInfo{});
  Start();
  ASSERT_TRUE(UntilHeard(1));
  EXPECT_EQ(election_->leader(), (LeaderInfo{1, "b1", "127.0.0.1:1", "127.0.0.1:2"}));
  election_->StepDown();
  ASSERT_TRUE(UntilHeard(3));
  EXPECT_EQ(election_->leader().epoch, 2u);
  ASSERT_TRUE(subject_->Until([&] { return told().size() >= 3; }));
  election_->Stop();
  EXPECT_EQ(election_->leader(), LeaderInfo{});
  subject_->Long();
  EXPECT_THAT(told(), ::testing::ElementsAre("1 b1 127.0.0.1:1 127.0.0.1:2", "0   ",
                                             "2 b1 127.0.0.1:1 127.0.0.1:2"));
}

}  // namespace werkplek
