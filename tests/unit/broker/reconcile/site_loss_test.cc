#include "broker/reconcile/site_loss.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace werkplek {

void PrintTo(SiteFinding finding, std::ostream* out) {
  const char* names[] = {"in order", "wait", "single hosts", "lost", "braked"};
  *out << names[static_cast<size_t>(finding)];
}

namespace {

// "a:UUD b:S": hosts of site a that are up, up and down, one of b that is suspect.
std::vector<HostPresence> Hosts(const std::string& text) {
  std::vector<HostPresence> hosts;
  for (const auto site : absl::StrSplit(text, ' ')) {
    const std::vector<std::string> parts = absl::StrSplit(site, ':');
    for (const char letter : parts[1]) {
      HostPresence host;
      host.host = absl::StrCat("hv-", hosts.size());
      host.site = parts[0];
      host.liveness = letter == 'U'   ? v1::LIVENESS_UP
                      : letter == 'D' ? v1::LIVENESS_DOWN
                                      : v1::LIVENESS_SUSPECT;
      hosts.push_back(host);
    }
  }
  return hosts;
}

struct Case {
  const char* hosts;
  SiteFinding a;
  double lost_share = 1.0;
  double brake_share = 0.6;
};

constexpr Case kCases[] = {
    {"a:UU b:UU", SiteFinding::kInOrder},
    // Suspects alone are no news.
    {"a:SS b:UU", SiteFinding::kInOrder},
    {"a:DU b:UU", SiteFinding::kSingleHosts},
    {"a:DS b:UU", SiteFinding::kWait},
    {"a:DD b:UU", SiteFinding::kLost},
    {"a:DSU b:UUU", SiteFinding::kSingleHosts},
    {"a:DDU b:UUU", SiteFinding::kSingleHosts},
    {"a:DDD b:UUU", SiteFinding::kLost},
    {"a:DDS b:UUU", SiteFinding::kWait},
    // One host is a host, also when it is the whole site or all there is.
    {"a:D b:UU", SiteFinding::kSingleHosts},
    {"a:D b:U", SiteFinding::kSingleHosts},
    {"a:D", SiteFinding::kSingleHosts},
    // The brake: more than 60 % of all hosts.
    {"a:DDD b:UU", SiteFinding::kLost},
    {"a:DD b:U", SiteFinding::kBraked},
    {"a:DD", SiteFinding::kBraked},
    {"a:DD b:DU", SiteFinding::kBraked},
    {"a:DU b:DDD", SiteFinding::kBraked},
    {"a:UU b:DDDDD", SiteFinding::kInOrder},
    // Those that are not heard count for the brake before they are down.
    {"a:DD b:SU", SiteFinding::kWait},
    {"a:DU b:SSS", SiteFinding::kWait},
    {"a:DD b:S", SiteFinding::kBraked},
    // Other limits.
    {"a:DDDDU b:UUUUU", SiteFinding::kLost, 0.8},
    {"a:DDDUU b:UUUUU", SiteFinding::kSingleHosts, 0.8},
    {"a:DDDSU b:UUUUU", SiteFinding::kWait, 0.8},
    {"a:DD b:UU", SiteFinding::kBraked, 1.0, 0.4},
    {"a:DD", SiteFinding::kLost, 1.0, 1.0},
};

TEST(SiteLossTest, SilenceIsJudgedAsTheTableSays) {
  for (const Case& c : kCases) {
    const SiteLossLimits limits{c.lost_share, c.brake_share};
    std::vector<HostPresence> hosts = Hosts(c.hosts);
    EXPECT_EQ(JudgeSites(hosts, limits).at("a").finding, c.a) << c.hosts;
    std::reverse(hosts.begin(), hosts.end());
    EXPECT_EQ(JudgeSites(hosts, limits).at("a").finding, c.a) << c.hosts << " reversed";
  }
}

TEST(SiteLossTest, AVerdictSaysWhatItCounted) {
  const SiteVerdict verdict = JudgeSites(Hosts("a:DDU b:USD"), {}).at("a");
  EXPECT_EQ(verdict.down, 2u);
  EXPECT_EQ(verdict.hosts, 3u);
  EXPECT_EQ(verdict.all_gone, 4u);
  EXPECT_EQ(verdict.all_hosts, 6u);
  EXPECT_TRUE(JudgeSites({}, {}).empty());
}

TEST(SiteLossTest, ASiteAnswersWhenHalfOfItIsUp) {
  EXPECT_FALSE(SiteAnswers(0, 0, {}));
  EXPECT_FALSE(SiteAnswers(0, 2, {}));
  EXPECT_TRUE(SiteAnswers(1, 2, {}));
  EXPECT_FALSE(SiteAnswers(2, 5, {}));
  EXPECT_TRUE(SiteAnswers(3, 6, {}));
  // What makes it lost does not let it return.
  EXPECT_FALSE(SiteAnswers(5, 10, {.lost_share = 0.4}));
  EXPECT_TRUE(SiteAnswers(7, 10, {.lost_share = 0.4}));
}

}  // namespace
}  // namespace werkplek
