#include "broker/placement/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace werkplek {
namespace {

HostCandidate Good(const std::string& name) {
  HostCandidate host;
  host.name = name;
  host.site = "a";
  host.liveness = v1::LIVENESS_UP;
  host.linked = true;
  host.memory_limit_mib = 65536;
  host.memory_committed_mib = 1024;
  host.max_starts = 4;
  host.site_max_starts = 32;
  return host;
}

PlacementNeed Need() {
  PlacementNeed need;
  need.memory_mib = 4096;
  return need;
}

struct RuleCase {
  const char* rule;
  const char* reason;
  std::function<void(PlacementNeed&, HostCandidate&)> spoil;
};

const std::vector<RuleCase>& Rules() {
  static const auto& rules = *new std::vector<RuleCase>{
      {kRuleSite, "is in site a; the pool may use b, c",
       [](PlacementNeed& need, HostCandidate&) {
         need.sites = {"b", "c"};
       }},
      {kRuleHomeSite, "is in site a; the home site b is required",
       [](PlacementNeed& need, HostCandidate&) {
         need.home_site = "b";
         need.home_required = true;
       }},
      {kRuleSiteLoss, "site a is lost",
       [](PlacementNeed&, HostCandidate& host) { host.site_loss = "site a is lost"; }},
      {kRuleSiteOpen, "site a is being drained",
       [](PlacementNeed&, HostCandidate& host) {
         host.site_schedulability = v1::SCHEDULABILITY_DRAINING;
       }},
      {kRuleSiteOpen, "site a is in maintenance",
       [](PlacementNeed&, HostCandidate& host) {
         host.site_schedulability = v1::SCHEDULABILITY_MAINTENANCE;
       }},
      {kRuleHostOpen, "is being drained",
       [](PlacementNeed&, HostCandidate& host) {
         host.schedulability = v1::SCHEDULABILITY_DRAINING;
       }},
      {kRuleHostOpen, "is in maintenance",
       [](PlacementNeed&, HostCandidate& host) {
         host.schedulability = v1::SCHEDULABILITY_MAINTENANCE;
       }},
      {kRuleStorage,
       "does not have storage san at hand; name it under `storages` in its agent's configuration, "
       "or "
       "see why it is away",
       [](PlacementNeed& need, HostCandidate&) { need.storage = "san"; }},
      {kRuleNetwork,
       "does not have network kantoor at hand; name it under `networks` in its agent's "
       "configuration, or see why it is away",
       [](PlacementNeed& need, HostCandidate& host) {
         need.network = "kantoor";
         host.networks = {"beheer"};
       }},
      {kRuleLockManager,
       "its libvirt does not lock disks, so that two hosts could start one; set lock_manager = "
       "\"lockd\" (or sanlock) in its qemu.conf and restart libvirt and the agent",
       [](PlacementNeed& need, HostCandidate& host) {
         need.storage = "san";
         need.fenced = true;
         host.storages = {"san"};
         host.lock_manager = "nop";
       }},
      {kRuleLockManager,
       "its libvirt is not known to lock disks, so that two hosts could start one; set "
       "lock_manager "
       "= \"lockd\" (or sanlock) in its qemu.conf and restart libvirt and the agent",
       [](PlacementNeed& need, HostCandidate& host) {
         need.storage = "san";
         need.fenced = true;
         host.storages = {"nfs", "san"};
       }},
      {kRuleFencing,
       "its agent has not said yet that it stops desktops by itself when it hears no broker",
       [](PlacementNeed& need, HostCandidate& host) {
         need.storage = "san";
         need.fenced = true;
         host.storages = {"san"};
         host.lock_manager = "lockd";
       }},
      {kRuleHostUp, "is down",
       [](PlacementNeed&, HostCandidate& host) { host.liveness = v1::LIVENESS_DOWN; }},
      {kRuleHostUp, "has not reported lately",
       [](PlacementNeed&, HostCandidate& host) { host.liveness = v1::LIVENESS_SUSPECT; }},
      {kRuleHostUp, "its agent is not connected",
       [](PlacementNeed&, HostCandidate& host) { host.linked = false; }},
      {kRuleImage, "the image failed there: wrong digest",
       [](PlacementNeed&, HostCandidate& host) { host.image_error = "wrong digest"; }},
      {kRuleMemory, "needs 4096 MiB, 1024 MiB free of 65536 MiB",
       [](PlacementNeed&, HostCandidate& host) { host.memory_committed_mib = 64512; }},
      {kRuleMemory, "needs 4096 MiB, 0 MiB free of 1024 MiB",
       [](PlacementNeed&, HostCandidate& host) {
         host.memory_limit_mib = 1024;
         host.memory_committed_mib = 2048;
       }},
      {kRuleMaxDesktops, "has 3 desktops of at most 3",
       [](PlacementNeed&, HostCandidate& host) { host.desktops = host.max_desktops = 3; }},
      {kRuleHostStarts, "4 starts are in flight there, at most 4",
       [](PlacementNeed&, HostCandidate& host) { host.starts = 4; }},
      {kRuleSiteStarts, "32 starts are in flight in site a, at most 32",
       [](PlacementNeed&, HostCandidate& host) { host.site_starts = 32; }},
  };
  return rules;
}

TEST(PlacementTest, EachRuleRejectsWithItsReason) {
  for (const RuleCase& rule : Rules()) {
    PlacementNeed need = Need();
    HostCandidate host = Good("hv-a1");
    rule.spoil(need, host);
    const Placement placement = Place(need, {host});
    EXPECT_EQ(placement.host, "");
    ASSERT_EQ(placement.verdicts.size(), 1u);
    EXPECT_EQ(placement.verdicts[0].host(), "hv-a1");
    EXPECT_EQ(placement.verdicts[0].rejected_by(), rule.rule);
    EXPECT_EQ(placement.verdicts[0].reason(), rule.reason);
    EXPECT_EQ(placement.verdicts[0].score(), 0);
  }
}

TEST(PlacementTest, AHostThatFitsToTheLastMiB) {
  HostCandidate host = Good("hv-a1");
  host.memory_committed_mib = host.memory_limit_mib - 4096;
  EXPECT_EQ(Place(Need(), {host}).host, "hv-a1");
  ++host.memory_committed_mib;
  EXPECT_EQ(Place(Need(), {host}).host, "");
}

TEST(PlacementTest, NoHostsNoPlace) {
  const Placement placement = Place(Need(), {});
  EXPECT_EQ(placement.host, "");
  EXPECT_TRUE(placement.verdicts.empty());
}

TEST(PlacementTest, TiesGoByNameWhateverTheOrder) {
  std::vector<HostCandidate> hosts = {Good("hv-c"), Good("hv-a"), Good("hv-b")};
  EXPECT_EQ(Place(Need(), hosts).host, "hv-a");
  std::reverse(hosts.begin(), hosts.end());
  EXPECT_EQ(Place(Need(), hosts).host, "hv-a");
}

TEST(PlacementTest, EachThingThatIsBetterWins) {
  const auto beats = [](const std::function<void(HostCandidate&)>& worsen) {
    HostCandidate worse = Good("hv-a");
    worsen(worse);
    return Place(Need(), {worse, Good("hv-b")}).host == "hv-b";
  };
  EXPECT_TRUE(beats([](HostCandidate& host) { host.memory_committed_mib = 32768; }));
  EXPECT_TRUE(beats([](HostCandidate& host) { host.cpu_used = 0.5; }));
  EXPECT_TRUE(beats([](HostCandidate& host) { host.memory_pressure = 0.5; }));
  EXPECT_TRUE(beats([](HostCandidate& host) { host.starts = 2; }));
  HostCandidate has_image = Good("hv-b");
  has_image.image_ready = true;
  EXPECT_EQ(Place(Need(), {Good("hv-a"), has_image}).host, "hv-b");
}

TEST(PlacementTest, TheHomeSiteGoesFirstAndOthersServeWhenItIsFull) {
  PlacementNeed need = Need();
  need.home_site = "b";
  HostCandidate home = Good("hv-b");
  home.site = "b";
  home.cpu_used = home.memory_pressure = 1;
  home.memory_committed_mib = home.memory_limit_mib - need.memory_mib;
  home.starts = 3;
  HostCandidate better = Good("hv-a");
  better.image_ready = true;
  EXPECT_EQ(Place(need, {better, home}).host, "hv-b");
  ++home.memory_committed_mib;
  EXPECT_EQ(Place(need, {better, home}).host, "hv-a");
  need.home_required = true;
  EXPECT_EQ(Place(need, {better, home}).host, "");
}

TEST(PlacementTest, ScoresStayBetweenNoughtAndOne) {
  HostCandidate host = Good("hv-a");
  host.cpu_used = 17;
  host.memory_pressure = -3;
  host.image_ready = true;
  const double score = Place(Need(), {host}).verdicts[0].score();
  EXPECT_GE(score, 0);
  EXPECT_LE(score, 1);
}

// Whatever the hosts, nothing is placed where it does not fit, and the order does not matter.
TEST(PlacementTest, RandomFleets) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::vector<HostCandidate> hosts;
    for (int i = 0; i < 8; ++i) {
      HostCandidate host = Good("hv-" + std::to_string(i));
      host.memory_limit_mib = random() % 16384;
      host.memory_committed_mib = random() % 16384;
      host.desktops = random() % 4;
      host.max_desktops = random() % 4;
      host.starts = random() % 6;
      host.liveness = static_cast<v1::Liveness>(1 + random() % 3);
      host.schedulability = static_cast<v1::Schedulability>(random() % 3);
      host.cpu_used = static_cast<double>(random() % 100) / 100;
      hosts.push_back(host);
    }
    const Placement placement = Place(Need(), hosts);
    std::shuffle(hosts.begin(), hosts.end(), random);
    EXPECT_EQ(Place(Need(), hosts).host, placement.host);
    EXPECT_EQ(PlaceQuietly(Need(), hosts), placement.host);
    EXPECT_EQ(placement.verdicts.size(), hosts.size());
    for (const HostCandidate& host : hosts) {
      if (host.name != placement.host) continue;
      EXPECT_LE(host.memory_committed_mib + 4096, host.memory_limit_mib);
      EXPECT_TRUE(host.max_desktops == 0 || host.desktops < host.max_desktops);
      EXPECT_LT(host.starts, host.max_starts);
      EXPECT_EQ(host.liveness, v1::LIVENESS_UP);
      EXPECT_EQ(host.schedulability, v1::SCHEDULABILITY_OPEN);
    }
  }
}

}  // namespace
}  // namespace werkplek
