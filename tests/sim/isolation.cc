#include "tests/sim/isolation.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/settings.h"
#include "tests/sim/store_replay.h"

namespace werkplek::sim {
namespace {

bool IsFenced(const v1::Pool& pool) {
  return pool.kind() == v1::POOL_KIND_DEDICATED || pool.fencing() == v1::FENCING_REQUIRED;
}

// Walks through what ran where.
class Runs {
 public:
  Runs(const History& history, const std::set<std::string>& desktops)
      : history_(history), desktops_(desktops) {}

  // Takes what happened up to that time.
  void GoTo(absl::Duration at) {
    for (; next_ < history_.runs.size() && history_.runs[next_].at <= at; ++next_) {
      const RunSeen& run = history_.runs[next_];
      if (desktops_.count(run.desktop) == 0) continue;
      auto& hosts = hosts_of_[run.desktop];
      if (hosts.size() > 1) overlap_ += run.at - changed_[run.desktop];
      changed_[run.desktop] = run.at;
      run.runs ? (void)hosts.insert(run.host) : (void)hosts.erase(run.host);
    }
  }
  bool AnyOn(const std::string& host) const {
    return std::any_of(hosts_of_.begin(), hosts_of_.end(),
                       [&](const auto& entry) { return entry.second.count(host) != 0; });
  }
  absl::Duration overlap() const { return overlap_; }

 private:
  const History& history_;
  const std::set<std::string>& desktops_;
  size_t next_ = 0;
  std::map<std::string, std::set<std::string>> hosts_of_;
  std::map<std::string, absl::Duration> changed_;
  absl::Duration overlap_;
};

// One time that a host was not heard.
struct Silence {
  absl::Duration since;
  std::string host;
  absl::Duration lasted;
};

std::vector<Silence> SilencesOf(const History& history) {
  std::vector<Silence> silences;
  std::map<std::string, absl::Duration> heard;
  for (const ReportSeen& report : history.reports) {
    const auto [at, fresh] = heard.try_emplace(report.host, report.at);
    const absl::Duration lasted = report.at - at->second;
    if (lasted >= BrokerSettings().suspect_after) {
      silences.push_back({at->second, report.host, lasted});
    }
    at->second = report.at;
  }
  std::stable_sort(silences.begin(), silences.end(),
                   [](const Silence& a, const Silence& b) { return a.since < b.since; });
  return silences;
}

// A start on another host, until its generation was given up for the next one.
struct Restart {
  std::string desktop;
  std::string host;
  absl::Duration at;
  absl::Duration until = absl::InfiniteDuration();
};

void CountRestarts(const History& history, Isolations& count) {
  std::vector<Restart> restarts;
  std::map<std::string, size_t> last;
  StoreReplay store(history);
  while (store.NextChange()) {
    const v1::Desktop* before = store.OldDesktop();
    const v1::Desktop* after = store.NewDesktop();
    if (before == nullptr || after == nullptr || before->generation() == after->generation()) {
      continue;
    }
    const auto earlier = last.find(after->id());
    if (earlier != last.end()) restarts[earlier->second].until = store.at();
    const bool elsewhere = !before->host().empty() && before->host() != after->host() &&
                           after->fenced_generation() >= before->generation();
    if (!elsewhere) continue;
    last[after->id()] = restarts.size();
    restarts.push_back({after->id(), after->host(), store.at()});
  }
  for (const Restart& restart : restarts) {
    const auto ran =
        std::find_if(history.runs.begin(), history.runs.end(), [&](const RunSeen& run) {
          return run.at >= restart.at && run.at < restart.until && run.runs &&
                 run.desktop == restart.desktop && run.host == restart.host;
        });
    if (ran == history.runs.end()) continue;
    ++count.restarts;
    count.longest_restart = std::max(count.longest_restart, ran->at - restart.at);
  }
}

}  // namespace

std::set<std::string> FencedDesktops(const History& history) {
  std::set<std::string> pools;
  std::set<std::string> desktops;
  for (const CommitSeen& commit : history.commits) {
    for (const v1::Change& change : commit.changes) {
      v1::Resource resource;
      if (change.table() == std::string(kPoolTable) && resource.ParseFromString(change.value()) &&
          IsFenced(resource.pool())) {
        pools.insert(change.key());
      }
    }
  }
  if (pools.empty()) return desktops;
  StoreReplay store(history);
  while (store.NextChange()) {
    const v1::Desktop* desktop = store.NewDesktop();
    if (desktop != nullptr && pools.count(desktop->pool()) != 0) desktops.insert(desktop->id());
  }
  return desktops;
}

void Isolations::Add(const Isolations& other) {
  hosts += other.hosts;
  fenced += other.fenced;
  overlap += other.overlap;
  restarts += other.restarts;
  longest_restart = std::max(longest_restart, other.longest_restart);
}

std::string Told(const Isolations& isolations) {
  return absl::StrCat("isolations of hosts with fenced desktops: ", isolations.hosts,
                      ", longer than the fence: ", isolations.fenced,
                      "; seconds on two hosts: ", absl::ToDoubleSeconds(isolations.overlap),
                      "; restarts elsewhere: ", isolations.restarts, ", the slowest ",
                      absl::ToDoubleSeconds(isolations.longest_restart), " s after its fence");
}

Isolations CountIsolations(const History& history) {
  Isolations count;
  const std::set<std::string> fenced = FencedDesktops(history);
  if (fenced.empty()) return count;
  Runs runs(history, fenced);
  for (const Silence& silence : SilencesOf(history)) {
    runs.GoTo(silence.since);
    if (!runs.AnyOn(silence.host)) continue;
    ++count.hosts;
    if (silence.lasted > BrokerSettings().fence_after) ++count.fenced;
  }
  runs.GoTo(absl::InfiniteDuration());
  count.overlap = runs.overlap();
  CountRestarts(history, count);
  return count;
}

}  // namespace werkplek::sim
