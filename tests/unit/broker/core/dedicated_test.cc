// Dedicated pools: one desktop per user, kept whatever happens.
#include "broker/core/dedicated.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "broker/model/kept.h"
#include "tests/unit/broker/core/municipality.h"
#include "tests/unit/broker/core/promises.h"

namespace werkplek {
namespace {

using testing::HasSubstr;

class DedicatedTest : public Municipality {
 protected:
  // Two hosts; with the storage when it is named.
  void OpenDedicated(const std::string& storage, uint32_t spares = 0, uint32_t max = 4) {
    Open(0, max, 0, [&](v1::Pool& pool) {
      pool.set_kind(v1::POOL_KIND_DEDICATED);
      pool.set_storage(storage);
      pool.set_start_deadline_s(20);
    });
    driver_.Create(MakeHost("hv-a2"));
    driver_.AddHost("hv-a2");
    if (!storage.empty()) {
      Host().AttachStorage();
      Host("hv-a2").AttachStorage();
    }
    driver_.Advance(absl::Seconds(2));
    if (spares > 0) {
      UpdatePool([&](v1::Pool& pool) { pool.set_running_spares(spares); });
      driver_.Advance(absl::Seconds(2));
    }
  }

  const v1::Desktop* Own(const std::string& user) {
    for (const auto& entry : driver_.fleet().desktops) {
      if (entry.record->owner() == user) return entry.record.get();
    }
    return nullptr;
  }
  // The user has used a desktop, which is off now.
  void UseOnce(const std::string& user) {
    const CallId call = Come(user);
    driver_.Advance(absl::Seconds(20));
    ASSERT_TRUE(driver_.Last(call).has_ready()) << driver_.Last(call).ShortDebugString();
    ASSERT_TRUE(End(user).ok());
    driver_.Advance(absl::Seconds(2));
    ASSERT_EQ(Own(user)->state(), v1::DESKTOP_STATE_OFF);
  }
  absl::Status Assign(const std::string& user) {
    v1::AssignDesktopRequest request;
    request.set_user(user);
    request.set_pool("kantoor");
    return driver_.Call(driver_.Admin(), request).status();
  }
  absl::Status Reset(const std::string& desktop, bool remove = false) {
    v1::ResetDesktopRequest request;
    request.set_desktop(desktop);
    request.set_remove(remove);
    return driver_.Call(driver_.Admin(), request).status();
  }
  std::string Told(CallId call) { return driver_.Last(call).ShortDebugString(); }
};

TEST_F(DedicatedTest, AtTheFirstUseADesktopIsMadeAndKept) {
  OpenDedicated("");
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  const v1::Desktop* own = Own("jan");
  ASSERT_NE(own, nullptr);
  EXPECT_TRUE(IsKept(*own));
  const auto made = driver_.Commands(v1::COMMAND_RESET);
  ASSERT_EQ(made.size(), 1u) << "the disk is first made by RESET";
  EXPECT_TRUE(made[0].spec().kept());
  EXPECT_TRUE(made[0].spec().fencing_required());
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_START).empty());
  EXPECT_EQ(driver_.SessionOf("jan")->explanation().decision(), "first use of a dedicated desktop");
}

TEST_F(DedicatedTest, AfterTheSessionItIsShutDownWithItsMemoryStillCounted) {
  OpenDedicated("");
  UseOnce("jan");
  const v1::Desktop own = *Own("jan");
  EXPECT_EQ(driver_.Commands(v1::COMMAND_STOP).size(), 1u);
  EXPECT_EQ(Host(own.host()).Find(own.id())->power(), v1::POWER_OFF);
  EXPECT_TRUE(IsFencedOff(own));
  EXPECT_EQ(own.fenced_by(), "agent");
  EXPECT_EQ(own.memory_mib(), 1024u);
  EXPECT_FALSE(own.host().empty());
  // Nothing of the pool's own doing ever touches it again.
  driver_.Advance(absl::Minutes(10));
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
}

TEST_F(DedicatedTest, TheOwnerComesBackToTheSameDiskAtTheNextGeneration) {
  OpenDedicated("");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  driver_.Forget();
  const CallId call = Come("JAN");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  EXPECT_EQ(driver_.Last(call).ready().desktop(), before.id());
  const auto starts = driver_.Commands(v1::COMMAND_START);
  ASSERT_GE(starts.size(), 1u);
  EXPECT_EQ(starts[0].generation(), before.generation() + 1);
  EXPECT_TRUE(starts[0].spec().kept());
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_RESET).empty());
  EXPECT_EQ(driver_.SessionOf("JAN")->explanation().decision(), "own desktop");
}

TEST_F(DedicatedTest, ASpareIsTakenAtTheFirstUseAndMadeUpFor) {
  OpenDedicated("", 1, 2);
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 1);
  const CallId jan = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(jan).has_ready());
  EXPECT_EQ(driver_.fleet().desktops.size(), 2u) << "another spare";
  const CallId piet = Come("piet");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(piet).has_ready());
  EXPECT_EQ(driver_.fleet().desktops.size(), 2u) << "max_desktops";
  const CallId kees = Come("kees");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(kees).has_queued()) << Told(kees);
}

TEST_F(DedicatedTest, AnOwnedDesktopThatRunsForNobodyIsShutDown) {
  OpenDedicated("");
  UseOnce("jan");
  Host(Own("jan")->host()).stuck = true;
  const CallId call = Come("jan");
  driver_.Apply(CallCancelled{call});
  Host(Own("jan")->host()).stuck = false;
  driver_.Advance(absl::Seconds(5));
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_READY);
  driver_.Advance(kSpareRest);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
}

TEST_F(DedicatedTest, APoweredOffDesktopEndsItsSessionAndStays) {
  OpenDedicated("");
  Come("jan");
  driver_.Advance(absl::Seconds(20));
  Report("jan")->set_power(v1::POWER_OFF);
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
}

TEST_F(DedicatedTest, AFailedStartLosesNothingAndIsToldAfterSomeTries) {
  OpenDedicated("");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  Host(before.host()).start_error = "no space left";
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(10));
  EXPECT_EQ(driver_.Last(call).refused().rule(), "start-failed") << Told(call);
  EXPECT_THAT(Told(call), HasSubstr("no space left"));
  const v1::Desktop after = *Own("jan");
  EXPECT_EQ(after.state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(after.failures(), 3u);
  EXPECT_EQ(after.id(), before.id());
  EXPECT_EQ(Pool().breaker, "") << "it says nothing of the pool";
  Host(before.host()).start_error.clear();
  const CallId again = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(again).has_ready()) << Told(again);
  EXPECT_EQ(Own("jan")->failures(), 0u);
}

TEST_F(DedicatedTest, AChangedImageOrPoolLeavesWhatIsKeptAlone) {
  OpenDedicated("", 1);
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  driver_.Forget();
  UpdateImage([](v1::Image& image) { image.set_sha256(std::string(64, 'b')); });
  UpdatePool([](v1::Pool& pool) { pool.set_memory_mib(2048); });
  driver_.Advance(absl::Seconds(30));
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
  EXPECT_EQ(Own("jan")->generation(), before.generation());
  for (const auto& command : driver_.Commands(v1::COMMAND_RESET)) {
    EXPECT_NE(command.desktop(), before.id());
  }
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  EXPECT_EQ(Own("jan")->memory_mib(), 2048u) << "the new size comes with the next start";
}

TEST_F(DedicatedTest, ADrainedPoolKeepsWhatIsKept) {
  OpenDedicated("", 2);
  UseOnce("jan");
  SetSchedulability(v1::RESOURCE_KIND_POOL, "kantoor", v1::SCHEDULABILITY_DRAINING);
  driver_.Advance(absl::Seconds(30));
  ASSERT_EQ(driver_.fleet().desktops.size(), 1u);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
  EXPECT_TRUE(driver_.Last(Come("jan")).has_refused());
}

TEST_F(DedicatedTest, FromADrainedHostItStartsElsewhereWhereItsDiskIsThere) {
  OpenDedicated("san");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  SetSchedulability(v1::RESOURCE_KIND_HOST, before.host(), v1::SCHEDULABILITY_DRAINING);
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  const v1::Desktop after = *Own("jan");
  EXPECT_NE(after.host(), before.host());
  EXPECT_EQ(after.generation(), before.generation() + 1);
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Host(before.host()).Find(before.id()), nullptr) << "the old domain is removed";
}

TEST_F(DedicatedTest, FromADrainedHostItDoesNotComeWithoutSharedStorage) {
  OpenDedicated("");
  UseOnce("jan");
  SetSchedulability(v1::RESOURCE_KIND_HOST, Own("jan")->host(), v1::SCHEDULABILITY_DRAINING);
  const CallId call = Come("jan");
  EXPECT_EQ(driver_.Last(call).refused().rule(), "host-open");
  EXPECT_THAT(Told(call), HasSubstr("its disk is on that host alone"));
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
}

TEST_F(DedicatedTest, AnAdministratorAssignsOneDesktopPerUser) {
  OpenDedicated("");
  EXPECT_TRUE(Assign("jan").ok());
  driver_.Advance(absl::Seconds(3));
  ASSERT_NE(Own("jan"), nullptr);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Assign("Jan").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Assign("no user").code(), absl::StatusCode::kInvalidArgument);
  const std::string id = Own("jan")->id();
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  EXPECT_EQ(driver_.Last(call).ready().desktop(), id) << Told(call);
  for (const std::string user : {"a", "b", "c"}) EXPECT_TRUE(Assign(user).ok()) << user;
  EXPECT_EQ(Assign("d").code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DedicatedTest, OnlyADedicatedPoolAssigns) {
  Open(0, 2, 0);
  EXPECT_EQ(Assign("jan").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DedicatedTest, AnAdministratorsResetMakesItFreshForItsOwner) {
  OpenDedicated("");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  const v1::Desktop before = *Own("jan");
  driver_.Forget();
  EXPECT_TRUE(Reset(before.id()).ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.SessionOf("jan"), nullptr);
  ASSERT_EQ(driver_.Commands(v1::COMMAND_RESET).size(), 1u);
  EXPECT_EQ(Own("jan")->id(), before.id());
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_READY);
  EXPECT_EQ(Own("jan")->proof().generation(), Own("jan")->generation());
}

TEST_F(DedicatedTest, AResetThatItsHostCannotDoNowIsRefused) {
  OpenDedicated("san");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  const auto refused = [&](const std::string& why) {
    const absl::Status status = Reset(before.id());
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("host \"" + before.host() + "\" " + why));
    EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
  };
  SetSchedulability(v1::RESOURCE_KIND_HOST, before.host(), v1::SCHEDULABILITY_MAINTENANCE);
  refused("is in maintenance");
  SetSchedulability(v1::RESOURCE_KIND_HOST, before.host(), v1::SCHEDULABILITY_OPEN);
  Host(before.host()).silent = true;
  driver_.Advance(absl::Seconds(15));
  refused("does not answer");
  Host(before.host()).silent = false;
  driver_.Advance(absl::Seconds(3));
  SetSchedulability(v1::RESOURCE_KIND_HOST, before.host(), v1::SCHEDULABILITY_DRAINING);
  refused("is being drained");
  // Its owner still gets it, and then it can be reset.
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  EXPECT_NE(Own("jan")->host(), before.host());
  EXPECT_TRUE(Reset(before.id()).ok());
}

TEST_F(DedicatedTest, OnlyAnAdministratorRemovesIt) {
  OpenDedicated("");
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  const std::string id = Own("jan")->id();
  EXPECT_EQ(Reset(id, true).code(), absl::StatusCode::kFailedPrecondition) << "it is in use";
  ASSERT_TRUE(End("jan").ok());
  driver_.Advance(absl::Seconds(2));
  EXPECT_TRUE(Reset(id, true).ok());
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.fleet().desktops.Find(id), nullptr);
  EXPECT_EQ(Host("hv-a1").Find(id), nullptr);
}

TEST_F(DedicatedTest, AStrangersDiskIsNeverRemoved) {
  OpenDedicated("san");
  // The broker's store went back in time: it does not know this one.
  v1::DesktopReport* stranger = Host().report().add_desktops();
  stranger->set_desktop("kantoor-0badcafe");
  stranger->set_generation(7);
  stranger->set_power(v1::POWER_RUNNING);
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_REMOVE).empty());
  ASSERT_NE(Host().Find("kantoor-0badcafe"), nullptr);
  EXPECT_EQ(Host().Find("kantoor-0badcafe")->power(), v1::POWER_OFF);
  EXPECT_TRUE(driver_.Logged("unknown-kept-desktop", "desktop", "kantoor-0badcafe"));
}

TEST_F(DedicatedTest, AStrangersDiskIsNotRemovedWithItsPoolUnknown) {
  OpenDedicated("");
  v1::DesktopReport* kept = Host().report().add_desktops();
  kept->set_desktop("archief-0badcafe");
  kept->set_generation(7);
  kept->set_kept(true);
  kept->set_power(v1::POWER_RUNNING);
  // What was there before its start began shows once that is over.
  v1::DesktopReport* busy = Host().report().add_desktops();
  busy->set_desktop("archief-0badbeef");
  busy->set_generation(7);
  busy->set_operation(v1::COMMAND_START);
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_REMOVE).empty());
  EXPECT_EQ(Host().Find("archief-0badcafe")->power(), v1::POWER_OFF);
  EXPECT_TRUE(driver_.Logged("unknown-kept-desktop", "desktop", "archief-0badcafe"));
}

TEST_F(DedicatedTest, AStoreThatWentBackInTimeTakesNobodysDiskForASpare) {
  OpenDedicated("", 1, 2);
  ASSERT_EQ(driver_.Desktops(v1::DESKTOP_STATE_READY), 1);
  const std::string id = driver_.fleet().desktops.begin()->key;
  const Fleet backup = driver_.stored();
  Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_EQ(Own("jan")->id(), id);
  const std::string host = Own("jan")->host();
  const v1::DesktopReport in_use = *Report("jan");
  driver_ = Driver({}, backup);
  FakeHost& user = driver_.hosts.emplace(host, FakeHost(host)).first->second;
  *user.report().add_desktops() = in_use;
  for (const char* name : {"hv-a1", "hv-a2"}) driver_.AddHost(name);
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(driver_.fleet().desktops.Find(id), nullptr);
  ASSERT_NE(Host(host).Find(id), nullptr) << "its disk stays";
  EXPECT_EQ(Host(host).Find(id)->power(), v1::POWER_OFF);
  EXPECT_TRUE(driver_.Logged("desktop-forgotten", "object", "desktop:" + id));
  const CallId els = Come("els");
  driver_.Advance(absl::Seconds(5));
  ASSERT_TRUE(driver_.Last(els).has_ready()) << Told(els);
  EXPECT_NE(Own("els")->id(), id);
  for (const auto verb : {v1::COMMAND_RESET, v1::COMMAND_REMOVE}) {
    for (const v1::AgentCommand& command : driver_.Commands(verb)) {
      EXPECT_NE(command.desktop(), id);
    }
  }
}

TEST_F(DedicatedTest, AResetOfBeforeTheBackupIsNotDoneAgainstANewerGeneration) {
  OpenDedicated("");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  Host(before.host()).stuck = true;
  ASSERT_TRUE(Reset(before.id()).ok());
  ASSERT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_RESETTING);
  // It was done long ago, and jan has worked there since.
  v1::DesktopReport& there = *Host(before.host()).Find(before.id());
  there.set_generation(before.generation() + 4);
  there.set_used(true);
  there.set_power(v1::POWER_RUNNING);
  Host(before.host()).stuck = false;
  driver_.Forget();
  driver_.Advance(absl::Minutes(5));
  EXPECT_TRUE(driver_.Commands(v1::COMMAND_RESET).empty());
  EXPECT_EQ(Own("jan")->generation(), before.generation() + 4);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << Told(call);
}

TEST_F(DedicatedTest, AHostWithANewerGenerationKeepsItsDisk) {
  OpenDedicated("");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  Host(before.host()).Find(before.id())->set_generation(before.generation() + 4);
  driver_.Advance(absl::Seconds(3));
  EXPECT_EQ(Own("jan")->generation(), before.generation() + 4);
  EXPECT_EQ(Own("jan")->state(), v1::DESKTOP_STATE_OFF);
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << Told(call);
}

TEST_F(DedicatedTest, AHostIsDeletedFromUnderADesktopThatIsOffInSharedStorage) {
  OpenDedicated("san");
  UseOnce("jan");
  const v1::Desktop before = *Own("jan");
  v1::DeleteResourceRequest request;
  request.set_kind(v1::RESOURCE_KIND_HOST);
  request.set_name(before.host());
  ASSERT_TRUE(driver_.Call(driver_.Admin(), request).ok());
  ASSERT_NE(Own("jan"), nullptr);
  EXPECT_EQ(Own("jan")->host(), "");
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(3));
  ASSERT_TRUE(driver_.Last(call).has_ready()) << Told(call);
  EXPECT_NE(Own("jan")->host(), before.host());
}

TEST_F(DedicatedTest, WithoutLocksNoDesktopInSharedStorageIsPlaced) {
  Open(0, 4, 0, [](v1::Pool& pool) {
    pool.set_kind(v1::POOL_KIND_DEDICATED);
    pool.set_storage("san");
  });
  Host().AttachStorage();
  Host().report().set_lock_manager("nop");
  driver_.Advance(absl::Seconds(2));
  const CallId call = Come("jan");
  driver_.Advance(absl::Seconds(2));
  ASSERT_TRUE(driver_.Last(call).has_queued()) << Told(call);
  EXPECT_THAT(Told(call), HasSubstr("lock-manager"));
  Host().report().set_lock_manager("lockd");
  driver_.Advance(absl::Seconds(3));
  EXPECT_TRUE(driver_.Last(call).has_ready()) << Told(call);
}

}  // namespace
}  // namespace werkplek
