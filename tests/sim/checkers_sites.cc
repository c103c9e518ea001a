// What must never happen between hosts and between leaders: two copies of a fenced desktop, hosts
// that are judged before they could speak, and decisions that leave no trail.
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "broker/core/settings.h"
#include "tests/sim/checkers.h"
#include "tests/sim/isolation.h"
#include "tests/sim/store_replay.h"

namespace werkplek::sim {
namespace {

constexpr absl::Duration kLongestCommit = absl::Seconds(15);

std::string At(absl::Duration at) { return absl::StrCat(absl::FormatDuration(at), ": "); }

}  // namespace

Violations CheckOneCopyOfAFencedDesktop(const History& history) {
  Violations found;
  const std::set<std::string> fenced = FencedDesktops(history);
  if (fenced.empty()) return found;
  std::map<std::string, std::set<std::string>> runs_on;
  for (const RunSeen& run : history.runs) {
    if (fenced.count(run.desktop) == 0) continue;
    std::set<std::string>& hosts = runs_on[run.desktop];
    if (!run.runs) {
      hosts.erase(run.host);
      continue;
    }
    hosts.insert(run.host);
    if (hosts.size() < 2) continue;
    found.push_back({"S3", absl::StrCat(At(run.at), run.desktop, " runs on ", *hosts.begin(),
                                        " and on ", *hosts.rbegin())});
  }
  // What the broker decided must hold even where the hosts were lucky.
  StoreReplay store(history);
  while (store.NextChange()) {
    const v1::Desktop* before = store.OldDesktop();
    const v1::Desktop* after = store.NewDesktop();
    if (before == nullptr || after == nullptr || fenced.count(after->id()) == 0 ||
        before->host().empty() || before->host() == after->host() ||
        before->moving_to() == after->host() ||
        after->fenced_generation() >= before->generation()) {
      continue;
    }
    found.push_back({"S3", absl::StrCat(At(store.at()), after->id(), " went from ", before->host(),
                                        " to ", after->host(), " with generation ",
                                        before->generation(), " not fenced")});
  }
  return found;
}

Violations CheckGrace(const History& history) {
  Violations found;
  // The core's clock runs a tenth faster at most.
  const absl::Duration grace = BrokerSettings().down_after * 10 / 11;
  std::map<uint64_t, absl::Duration> began;
  for (const ElectionSeen& election : history.elections) began[election.epoch] = election.at;
  // When each host last spoke to each leader, and when it last did so after a long silence.
  struct Heard {
    absl::Duration last;
    absl::Duration long_silence_ended = -absl::InfiniteDuration();
  };
  std::map<std::pair<uint64_t, std::string>, Heard> heard;
  const auto heard_of = [&](uint64_t epoch, const std::string& host) -> Heard& {
    return heard.try_emplace({epoch, host}, Heard{began[epoch]}).first->second;
  };
  auto report = history.reports.begin();
  StoreReplay store(history);
  while (store.NextChange()) {
    const v1::Desktop* after = store.NewDesktop();
    const v1::Desktop* before = store.OldDesktop();
    if (after == nullptr || before == nullptr || after->state() != v1::DESKTOP_STATE_LOST ||
        before->state() == v1::DESKTOP_STATE_LOST) {
      continue;
    }
    for (; report != history.reports.end() && report->at <= store.at(); ++report) {
      Heard& host = heard_of(report->epoch, report->host);
      if (report->at - host.last >= grace) host.long_silence_ended = report->at;
      host.last = report->at;
    }
    if (began.count(store.epoch()) == 0) continue;
    // One that had left its host is lost with the host that it went to.
    const Heard& host = heard_of(store.epoch(), after->host());
    // The verdict was given before it became durable.
    const bool was_silent = store.at() - host.long_silence_ended < kLongestCommit;
    if (was_silent || store.at() - host.last >= grace) continue;
    found.push_back({"grace", absl::StrCat(At(store.at()), before->host(), " was judged down ",
                                           absl::FormatDuration(store.at() - host.last),
                                           " after it spoke to the leader of epoch ", store.epoch(),
                                           ", or that was elected")});
  }
  return found;
}

Violations CheckAudit(const History& history) {
  Violations found;
  StoreReplay store(history);
  size_t commit = 0;
  size_t told = 0;
  size_t new_things = 0;
  const auto judge = [&] {
    if (commit == 0 || told >= new_things) return;
    found.push_back(
        {"audit", absl::StrCat(At(history.commits[commit - 1].at), new_things,
                               " new sessions and sign-ins, but ", told, " audit records")});
  };
  while (store.NextChange()) {
    if (store.commits() != commit) {
      judge();
      commit = store.commits();
      told = new_things = 0;
    }
    if (store.change().table() == std::string(kAuditTable)) ++told;
    if (store.NewSession() != nullptr && store.OldSession() == nullptr) ++new_things;
    if (store.NewSignIn() != nullptr && store.OldSignIn() == nullptr) ++new_things;
  }
  judge();
  return found;
}

}  // namespace werkplek::sim
