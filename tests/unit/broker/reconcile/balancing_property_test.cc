// Random sites: what every plan must hold to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/reconcile/balancing.h"
#include "tests/unit/broker/reconcile/balancing_pictures.h"

namespace werkplek {
namespace {

class Chance {
 public:
  explicit Chance(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 random_;
};

BalancePicture RandomPicture(uint64_t seed) {
  Chance chance(seed);
  BalancePicture picture;
  const uint64_t hosts = 2 + chance.Below(6);
  for (uint64_t i = 0; i < hosts; ++i) {
    BalanceHost host = Host(absl::StrCat("hv-", i), 0, chance.OneIn(4) ? "b" : "a");
    host.desktops = 0;
    host.memory_limit_mib = 8'000 + 4'000 * chance.Below(5);
    host.cpus = static_cast<uint32_t>(8 << chance.Below(3));
    host.cpu_used = static_cast<double>(chance.Below(100)) / 100;
    host.memory_pressure = chance.OneIn(5) ? static_cast<double>(chance.Below(100)) / 100 : 0;
    host.starts = static_cast<uint32_t>(chance.OneIn(3) ? chance.Below(5) : 0);
    host.open = !chance.OneIn(8);
    host.reachable = host.open || chance.OneIn(2);
    host.receives = !chance.OneIn(10);
    host.locks = !chance.OneIn(5);
    host.rests = chance.OneIn(6);
    if (chance.OneIn(4)) host.storages = {"nfs"};
    if (chance.OneIn(4)) host.storages = {"nfs", "san"};
    if (chance.OneIn(4)) host.networks.clear();
    if (chance.OneIn(4)) host.max_desktops = static_cast<uint32_t>(4 + chance.Below(8));
    picture.hosts.push_back(std::move(host));
  }
  for (BalanceHost& host : picture.hosts) {
    while (!chance.OneIn(9)) {
      BalanceDesktop desktop = Desktop(absl::StrCat(host.name, "-", host.desktops), host.name);
      desktop.memory_mib = 512 << chance.Below(4);
      if (host.memory_committed_mib + desktop.memory_mib > host.memory_limit_mib) break;
      desktop.vcpus = static_cast<uint32_t>(1 + chance.Below(4));
      desktop.felt = static_cast<Felt>(chance.Below(3));
      desktop.runs = !chance.OneIn(3);
      desktop.needs_lock = chance.OneIn(5);
      desktop.spare = desktop.felt == Felt::kByNobody;
      desktop.settled = !chance.OneIn(6);
      if (chance.OneIn(4)) desktop.storage = "nfs";
      if (chance.OneIn(8)) desktop.storage.clear();
      if (chance.OneIn(3)) desktop.network.clear();
      if (chance.OneIn(8)) desktop.stays = "is being started";
      if (chance.OneIn(6)) desktop.avoids = picture.hosts[chance.Below(hosts)].name;
      host.memory_committed_mib += desktop.memory_mib;
      ++host.desktops;
      picture.desktops.push_back(std::move(desktop));
    }
  }
  return picture;
}

// Carries a move out, as a judge apart from the planner would: memory exactly, work by the share of
// the processors that run.
void CarryOut(const PlannedMove& move, BalancePicture& picture) {
  BalanceHost& from = HostOf(picture, move.from);
  BalanceHost& to = HostOf(picture, move.to);
  BalanceDesktop& desktop = DesktopOf(picture, move.desktop);
  ASSERT_EQ(desktop.host, move.from);
  double running = 0;
  for (const auto& other : picture.desktops) {
    if (other.host == move.from && other.runs) running += other.vcpus;
  }
  from.memory_committed_mib -= desktop.memory_mib;
  to.memory_committed_mib += desktop.memory_mib;
  --from.desktops;
  ++to.desktops;
  if (desktop.runs) {
    const double share = from.cpu_used * desktop.vcpus / running;
    from.cpu_used = std::max(0.0, from.cpu_used - share);
    to.cpu_used = std::min(1.0, to.cpu_used + share * from.cpus / to.cpus);
  }
  desktop.host = move.to;
}

void JudgeMove(const PlannedMove& move, BalancePicture& picture, bool at_once) {
  const BalanceHost& from = HostOf(picture, move.from);
  const BalanceHost& to = HostOf(picture, move.to);
  const BalanceDesktop& desktop = DesktopOf(picture, move.desktop);
  EXPECT_EQ(from.site, to.site) << move.desktop;
  EXPECT_TRUE(to.open && to.receives && !to.rests && from.reachable) << move.desktop;
  EXPECT_THAT(to.storages, testing::Contains(desktop.storage));
  if (desktop.network != "") EXPECT_THAT(to.networks, testing::Contains(desktop.network));
  EXPECT_TRUE(to.locks || !desktop.needs_lock);
  EXPECT_EQ(desktop.stays, "");
  EXPECT_TRUE(at_once || desktop.felt != Felt::kAtOnce);
  EXPECT_LE(to.memory_committed_mib + desktop.memory_mib, to.memory_limit_mib);
  if (to.max_desktops != 0) EXPECT_LT(to.desktops, to.max_desktops);
  EXPECT_NE(move.reason, "");
}

// The loads of the open hosts of the site, the highest first.
std::vector<double> Loads(const BalancePicture& picture) {
  std::vector<double> loads;
  for (const auto& host : picture.hosts) {
    if (host.site == "a" && host.open && !host.rests) loads.push_back(LoadOf(host));
  }
  std::sort(loads.rbegin(), loads.rend());
  return loads;
}

class BalancingPropertyTest : public testing::TestWithParam<int> {
 protected:
  BalancePicture picture_ = RandomPicture(static_cast<uint64_t>(GetParam()));
};

TEST_P(BalancingPropertyTest, EveryMoveHelpsAndNothingGoesBackAndForth) {
  const bool at_once = GetParam() % 2 == 0;
  std::set<std::string> seen;
  int rounds = 0;
  while (true) {
    std::string where;
    for (const auto& desktop : picture_.desktops) absl::StrAppend(&where, desktop.host, " ");
    const BalancePlan plan = Even(picture_, at_once);
    EXPECT_NE(plan.reason, "");
    if (plan.moves.empty()) break;
    ASSERT_TRUE(seen.insert(where).second) << "the desktops stand as they stood before";
    ASSERT_LT(++rounds, 20);
    std::set<std::string> moved;
    for (const PlannedMove& move : plan.moves) {
      EXPECT_TRUE(moved.insert(move.desktop).second) << "twice in one plan";
      JudgeMove(move, picture_, at_once);
      const double before = LoadOf(HostOf(picture_, move.from));
      EXPECT_GE(before - LoadOf(HostOf(picture_, move.to)), MoveLimits().margin - 1e-9);
      const std::vector<double> loads = Loads(picture_);
      CarryOut(move, picture_);
      const double after = LoadOf(HostOf(picture_, move.from));
      EXPECT_GE(before - after, MoveLimits().gain - 1e-9);
      EXPECT_LE(LoadOf(HostOf(picture_, move.to)), after + 1e-9) << "now the other one is worse";
      EXPECT_LT(Loads(picture_), loads);
    }
  }
}

TEST_P(BalancingPropertyTest, TheOrderInWhichThingsComeDoesNotCount) {
  BalancePicture shuffled = picture_;
  std::mt19937_64 random(7);
  std::shuffle(shuffled.hosts.begin(), shuffled.hosts.end(), random);
  std::shuffle(shuffled.desktops.begin(), shuffled.desktops.end(), random);
  EXPECT_EQ(Lines(Even(picture_).moves), Lines(Even(shuffled).moves));
  EXPECT_EQ(Lines(PlanDrain(picture_, "hv-0").moves), Lines(PlanDrain(shuffled, "hv-0").moves));
  EXPECT_EQ(PlanConsolidation(picture_, "a", 1).resting,
            PlanConsolidation(shuffled, "a", 1).resting);
}

TEST_P(BalancingPropertyTest, ADrainAnswersForEveryDesktop) {
  BalanceHost& drained = HostOf(picture_, "hv-0");
  drained.open = false;
  const BalancePlan plan = PlanDrain(picture_, "hv-0");
  EXPECT_EQ(plan.moves.size() + plan.waits.size(), drained.desktops);
  for (const Waiting& wait : plan.waits) EXPECT_NE(wait.reason, "");
  for (const PlannedMove& move : plan.moves) {
    JudgeMove(move, picture_, true);
    CarryOut(move, picture_);
  }
}

TEST_P(BalancingPropertyTest, ANightKeepsRoomForAHostThatFails) {
  for (auto& host : picture_.hosts) host.rests = false;
  const ConsolidationPlan plan = PlanConsolidation(picture_, "a", 1);
  const std::set<std::string> resting(plan.resting.begin(), plan.resting.end());
  for (const PlannedMove& move : plan.moves) {
    EXPECT_EQ(resting.count(move.from), 1u);
    JudgeMove(move, picture_, false);
    CarryOut(move, picture_);
  }
  for (const std::string& id : plan.remade) {
    BalanceDesktop& desktop = DesktopOf(picture_, id);
    EXPECT_TRUE(desktop.spare);
    HostOf(picture_, desktop.host).memory_committed_mib -= desktop.memory_mib;
    --HostOf(picture_, desktop.host).desktops;
  }
  uint64_t committed = 0;
  std::vector<uint64_t> limits;
  for (const auto& host : picture_.hosts) {
    if (resting.count(host.name) != 0) {
      EXPECT_EQ(host.desktops, 0u) << host.name;
    } else if (host.site == "a" && host.open) {
      committed += host.memory_committed_mib;
      limits.push_back(host.memory_limit_mib);
    }
  }
  if (resting.empty()) return;
  ASSERT_GE(limits.size(), 2u);
  std::sort(limits.begin(), limits.end());
  uint64_t room = 0;
  for (size_t i = 0; i + 1 < limits.size(); ++i) room += limits[i];
  EXPECT_LE(committed, room);
}

INSTANTIATE_TEST_SUITE_P(Seeds, BalancingPropertyTest, testing::Range(1, 301));

}  // namespace
}  // namespace werkplek
