#include "broker/reconcile/balancing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/broker/reconcile/balancing_pictures.h"

namespace werkplek {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(LoadTest, IsMemoryThenWorkAndStarts) {
  BalanceHost host = Host("hv-a1", 0);
  EXPECT_DOUBLE_EQ(LoadOf(host), 0.0);
  host.memory_committed_mib = 10'000;
  EXPECT_DOUBLE_EQ(LoadOf(host), 5.0 / 9);
  host.cpu_used = 0.5;
  host.memory_pressure = 1.0;
  EXPECT_DOUBLE_EQ(LoadOf(host), 7.0 / 9);
  host.starts = 4;
  EXPECT_DOUBLE_EQ(LoadOf(host), 1.0);
  host.memory_committed_mib = 99'000;
  host.starts = 9;
  EXPECT_DOUBLE_EQ(LoadOf(host), 1.0);
}

TEST(RebalanceTest, MovesFromTheMostToTheLeastLoadedAndSaysWhy) {
  const BalancePlan plan = Even(Picture({{"hv-a1", 9}, {"hv-a2", 1}, {"hv-a3", 5}}));
  EXPECT_THAT(Lines(plan.moves), ElementsAre("hv-a1-0: hv-a1 to hv-a2", "hv-a1-1: hv-a1 to hv-a2",
                                             "hv-a1-2: hv-a1 to hv-a2"));
  EXPECT_EQ(plan.moves[0].reason,
            "hv-a1 at 50 %, hv-a2 at 6 % of what they can carry, more than 15 % apart");
  EXPECT_EQ(plan.reason, "its hosts are even: hv-a1 at 33 %, hv-a2 at 22 %");
}

TEST(RebalanceTest, LeavesHostsAloneThatAreNearlyEven) {
  const BalancePlan plan = Even(Picture({{"hv-a1", 6}, {"hv-a2", 4}}));
  EXPECT_THAT(plan.moves, IsEmpty());
  EXPECT_EQ(plan.reason, "its hosts are even: hv-a1 at 33 %, hv-a2 at 22 %");
}

TEST(RebalanceTest, StopsAtTheMostThatWasAskedFor) {
  const BalancePlan plan = Even(Picture({{"hv-a1", 9}, {"hv-a2", 1}}), false, 2);
  EXPECT_THAT(plan.moves, SizeIs(2));
  EXPECT_EQ(plan.reason, "more may follow");
}

TEST(RebalanceTest, ThoseWhoFeelLeastMoveFirstAndOpenDisplaysOnlyWhenAskedFor) {
  BalancePicture picture = Picture({{"hv-a1", 9}, {"hv-a2", 1}}, Felt::kAtOnce);
  EXPECT_THAT(Even(picture).moves, IsEmpty());
  EXPECT_THAT(Even(picture).reason, HasSubstr("somebody looks at its display"));
  EXPECT_THAT(Even(picture, true).moves, SizeIs(3));
  DesktopOf(picture, "hv-a1-7").felt = Felt::kLater;
  DesktopOf(picture, "hv-a1-8").felt = Felt::kByNobody;
  const auto lines = Lines(Even(picture, true).moves);
  EXPECT_EQ(lines[0], "hv-a1-8: hv-a1 to hv-a2");
  EXPECT_EQ(lines[1], "hv-a1-7: hv-a1 to hv-a2");
  EXPECT_EQ(lines[2], "hv-a1-0: hv-a1 to hv-a2");
}

TEST(RebalanceTest, EachObstacleIsNamed) {
  struct Case {
    std::function<void(BalancePicture&)> spoil;
    const char* reason;
  };
  const Case cases[] = {
      {[](auto& p) {
         for (auto& d : p.desktops) d.storage.clear();
       },
       "its pool keeps its disks on the host itself"},
      {[](auto& p) {
         for (auto& d : p.desktops) d.stays = "is being started";
       },
       "is being started"},
      {[](auto& p) {
         for (auto& d : p.desktops) d.settled = false;
       },
       "it was moved a short while ago"},
      {[](auto& p) { HostOf(p, "hv-a2").storages = {"other"}; }, "has not the storage san"},
      {[](auto& p) {
         for (auto& d : p.desktops) d.network = "beheer";
       },
       "has not the network beheer"},
      {[](auto& p) { HostOf(p, "hv-a2").receives = false; }, "has no migration URI"},
      {[](auto& p) { HostOf(p, "hv-a2").max_desktops = 1; }, "has 1 desktop of at most 1"},
      {[](auto& p) {
         HostOf(p, "hv-a2").locks = false;
         for (auto& d : p.desktops) d.needs_lock = true;
       },
       "has no lock manager"},
      {[](auto& p) {
         HostOf(p, "hv-a2").memory_limit_mib = 100'000;
         HostOf(p, "hv-a2").memory_committed_mib = 1000;
         for (auto& d : p.desktops) d.memory_mib = 99'500;
       },
       "has 99000 MiB free, 99500 MiB are needed"},
      {[](auto& p) { HostOf(p, "hv-a2").open = false; }, "fewer than two hosts"},
      {[](auto& p) { HostOf(p, "hv-a2").rests = true; }, "fewer than two hosts"},
  };
  for (const Case& one : cases) {
    BalancePicture picture = Picture({{"hv-a1", 9}, {"hv-a2", 1}});
    one.spoil(picture);
    const BalancePlan plan = Even(picture);
    EXPECT_THAT(plan.moves, IsEmpty()) << one.reason;
    EXPECT_THAT(plan.reason, HasSubstr(one.reason));
  }
}

TEST(RebalanceTest, NeverGoesToAnotherSite) {
  BalancePicture picture = Picture({{"hv-a1", 9}});
  picture.hosts.push_back(Host("hv-b1", 0, "b"));
  EXPECT_THAT(Even(picture).moves, IsEmpty());
}

TEST(RebalanceTest, WorkMovesWithTheDesktopsThatDoIt) {
  BalancePicture picture = Picture({{"hv-a1", 5}, {"hv-a2", 5}});
  HostOf(picture, "hv-a1").cpu_used = 1.0;
  EXPECT_THAT(Lines(Even(picture).moves), ElementsAre("hv-a1-0: hv-a1 to hv-a2"));
  // Suspended ones would not relieve its processors.
  for (auto& desktop : picture.desktops) desktop.runs = false;
  EXPECT_THAT(Lines(Even(picture).moves), ElementsAre("hv-a1-0: hv-a1 to hv-a2"));
  // A target with few processors would be no better off.
  for (auto& desktop : picture.desktops) desktop.runs = true;
  HostOf(picture, "hv-a2").cpus = 1;
  EXPECT_THAT(Even(picture).moves, IsEmpty());
}

TEST(RebalanceTest, ATargetThatFailedIsLeftToOthers) {
  BalancePicture picture = Picture({{"hv-a1", 9}, {"hv-a2", 0}, {"hv-a3", 1}});
  for (auto& desktop : picture.desktops) desktop.avoids = "hv-a2";
  for (const auto& move : Even(picture).moves) EXPECT_EQ(move.to, "hv-a3");
}

TEST(DrainTest, SaysWhatMovesAndWhatWaitsForWhat) {
  BalancePicture picture = Picture({{"hv-a1", 4}, {"hv-a2", 5}, {"hv-a3", 6}});
  HostOf(picture, "hv-a1").open = false;
  DesktopOf(picture, "hv-a1-0").felt = Felt::kAtOnce;
  DesktopOf(picture, "hv-a1-1").storage.clear();
  DesktopOf(picture, "hv-a1-2").felt = Felt::kByNobody;
  const BalancePlan plan = PlanDrain(picture, "hv-a1");
  EXPECT_THAT(Lines(plan.moves), ElementsAre("hv-a1-2: hv-a1 to hv-a2", "hv-a1-3: hv-a1 to hv-a2",
                                             "hv-a1-0: hv-a1 to hv-a3"));
  EXPECT_EQ(plan.moves[0].reason, "hv-a1 is being drained");
  ASSERT_THAT(plan.waits, SizeIs(1));
  EXPECT_EQ(plan.waits[0].desktop, "hv-a1-1");
  EXPECT_EQ(plan.waits[0].reason, "its pool keeps its disks on the host itself");
  EXPECT_EQ(plan.reason, "3 desktops to move, 1 to wait for");
}

TEST(DrainTest, TellsWhyNoHostCanTakeIt) {
  BalancePicture picture = Picture({{"hv-a1", 1}, {"hv-a2", 10}, {"hv-a3", 3}});
  HostOf(picture, "hv-a1").open = false;
  HostOf(picture, "hv-a3").storages.clear();
  const BalancePlan plan = PlanDrain(picture, "hv-a1");
  ASSERT_THAT(plan.waits, SizeIs(1));
  EXPECT_EQ(plan.waits[0].reason,
            "no host of the site can take it: hv-a2 has 0 MiB free, 1000 MiB are needed; hv-a3 has "
            "not the storage san");
  // A host that does not answer cannot send anything.
  HostOf(picture, "hv-a2").memory_committed_mib = 0;
  HostOf(picture, "hv-a1").reachable = false;
  EXPECT_EQ(PlanDrain(picture, "hv-a1").waits[0].reason, "its host does not answer");
}

TEST(DrainTest, TheHostWhereItFailedIsTriedLast) {
  BalancePicture picture = Picture({{"hv-a1", 1}, {"hv-a2", 0}, {"hv-a3", 8}});
  HostOf(picture, "hv-a1").open = false;
  DesktopOf(picture, "hv-a1-0").avoids = "hv-a2";
  EXPECT_THAT(Lines(PlanDrain(picture, "hv-a1").moves), ElementsAre("hv-a1-0: hv-a1 to hv-a3"));
  HostOf(picture, "hv-a3").open = false;
  EXPECT_THAT(Lines(PlanDrain(picture, "hv-a1").moves), ElementsAre("hv-a1-0: hv-a1 to hv-a2"));
}

TEST(MoveTest, GoesWhereTheLoadIsLowest) {
  const BalancePicture picture = Picture({{"hv-a1", 4}, {"hv-a2", 5}, {"hv-a3", 2}});
  std::string why;
  EXPECT_EQ(PlanMove(picture, "hv-a1-1", why), "hv-a3");
  EXPECT_EQ(why, "");
  EXPECT_EQ(PlanMove(picture, "hv-a9-1", why), "");
  EXPECT_EQ(why, "its host is not declared");
}

TEST(NightTest, EmptiesTheHostsThatTheSiteCanSpare) {
  const BalancePicture picture = Picture({{"hv-a1", 3}, {"hv-a2", 2}, {"hv-a3", 1}, {"hv-a4", 0}});
  const ConsolidationPlan plan = PlanConsolidation(picture, "a", 1);
  // Six desktops of 1000 MiB need one host of 10000, and another that may fail.
  EXPECT_THAT(plan.resting, ElementsAre("hv-a3", "hv-a4"));
  EXPECT_THAT(Lines(plan.moves), ElementsAre("hv-a3-0: hv-a3 to hv-a2"));
  EXPECT_THAT(plan.moves[0].reason, HasSubstr("hv-a3 is emptied for the night"));
  EXPECT_THAT(PlanConsolidation(picture, "a", 2).resting, ElementsAre("hv-a4"));
  EXPECT_THAT(PlanConsolidation(picture, "a", 3).resting, IsEmpty());
}

TEST(NightTest, LeavesAHostOnWhichSomethingCannotLeave) {
  struct Case {
    const char* name;
    std::function<void(BalanceDesktop&)> spoil;
  };
  const Case cases[] = {
      {"a display is open", [](auto& d) { d.felt = Felt::kAtOnce; }},
      {"own disk", [](auto& d) { d.storage.clear(); }},
      {"starting", [](auto& d) { d.stays = "is being started"; }},
      {"moved lately", [](auto& d) { d.settled = false; }},
  };
  for (const Case& one : cases) {
    BalancePicture picture = Picture({{"hv-a1", 3}, {"hv-a2", 1}, {"hv-a3", 3}});
    one.spoil(DesktopOf(picture, "hv-a2-0"));
    EXPECT_THAT(PlanConsolidation(picture, "a", 1).resting,
                testing::Not(testing::Contains("hv-a2")))
        << one.name;
  }
}

TEST(NightTest, ASpareThatCannotMoveIsMadeAnewElsewhere) {
  BalancePicture picture = Picture({{"hv-a1", 3}, {"hv-a2", 1}, {"hv-a3", 3}});
  BalanceDesktop& spare = DesktopOf(picture, "hv-a2-0");
  spare.storage.clear();
  spare.spare = true;
  spare.felt = Felt::kByNobody;
  const ConsolidationPlan plan = PlanConsolidation(picture, "a", 1);
  EXPECT_THAT(plan.resting, ElementsAre("hv-a2"));
  EXPECT_THAT(plan.remade, ElementsAre("hv-a2-0"));
  EXPECT_THAT(plan.moves, IsEmpty());
}

TEST(NightTest, AHostThatRestsWakesOnlyWhenTheOthersAreFull) {
  // 9500 of 10000 MiB: too much to let a host rest anew, not too much to wake one.
  BalancePicture picture = Picture({{"hv-a1", 9}, {"hv-a2", 0}, {"hv-a3", 0}});
  HostOf(picture, "hv-a1").memory_committed_mib = 9'500;
  DesktopOf(picture, "hv-a1-0").memory_mib = 1'500;
  EXPECT_THAT(PlanConsolidation(picture, "a", 1).resting, IsEmpty());
  HostOf(picture, "hv-a3").rests = true;
  EXPECT_THAT(PlanConsolidation(picture, "a", 1).resting, ElementsAre("hv-a3"));
  HostOf(picture, "hv-a1").memory_committed_mib = 10'500;
  DesktopOf(picture, "hv-a1-0").memory_mib = 2'500;
  EXPECT_THAT(PlanConsolidation(picture, "a", 1).resting, IsEmpty());
}

}  // namespace
}  // namespace werkplek
