// What the node does when its store fails or hangs.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/commands.h"
#include "broker/node/node_loop.h"
#include "common/base/log.h"

namespace werkplek {
namespace {

// However short fence_after is, a slow disk is no hang, unless down_after is shorter still.
constexpr absl::Duration kShortestHang = absl::Seconds(1);

}  // namespace

void NodeLoop::CommitFailed(const absl::Status& status) {
  std::vector<LogField> fields = {{"epoch", absl::StrCat(epoch_)}, {"error", status.ToString()}};
  if (absl::IsResourceExhausted(status)) {
    fields.emplace_back("until_then", "nothing can be changed; what runs goes on");
  }
  Log(Severity::kError, "commit-failed", fields);
  Observe(Counted{"commits_failed", std::string(absl::StatusCodeToString(status.code()))});
  if (absl::IsFailedPrecondition(status) || absl::IsUnknown(status)) {
    Drop(Phase::kFollowing);
    parts_.election->StepDown();
  } else {
    // Nothing was written, but the broker has moved on: start again from what is durable.
    if (StoodStill()) return TakeLeadAnew("the loop stood still");
    Drop(absl::IsResourceExhausted(status) ? Phase::kReloading : Phase::kLoading);
    HearHosts();
    LoadAfterDelay();
  }
}

void NodeLoop::HearHosts() {
  // Who cannot write leads all the same, and a disk that is full or hangs must not end what people
  // do: an agent that is not answered stops its fenced desktops. It is safe, for the broker that is
  // loaded counts every host's silence from its own beginning, which is later than these reports.
  std::vector<std::pair<std::string, AgentLink>> reported;
  {
    MutexLock lock(mutex_);
    if (phase_ != Phase::kReloading) return;
    for (auto& [host, link] : links_) {
      const auto report = std::exchange(link.report, nullptr);
      // A host that is declared no longer may be counted out by its silence.
      if (report == nullptr || picture_->hosts.Find(host) == nullptr) continue;
      reported.emplace_back(host, AgentLink{link.number, report});
    }
  }
  for (const auto& [host, link] : reported) {
    const v1::AgentReport& report = *link.report;
    const v1::AgentCommand heard = HeardCommand(settings_.broker, epoch_, report.sequence());
    // How long an agent waits must be durable before it is told.
    const bool knows = report.fence_after_ms() == heard.fence_after_ms();
    if (!knows || report.host() != host || report.seen_epoch() > epoch_) continue;
    parts_.agents->Send(host, link.number, heard);
  }
}

bool NodeLoop::CommitHangs() {
  // Sooner than agents would give this broker up, and before the ticks and reports that wait behind
  // it would make the hosts look silent.
  const BrokerSettings& settings = settings_.broker;
  const absl::Duration patience = std::max(settings.fence_after / 4, kShortestHang);
  const absl::Duration longest = std::min(patience, settings.down_after / 4);
  return committing_ && parts_.executor->Monotonic() - commit_began_ >= longest;
}

void NodeLoop::LeaveHungCommit() {
  Log(Severity::kError, "commit-hangs",
      {{"epoch", absl::StrCat(epoch_)},
       {"until_then", "nothing can be changed; what runs goes on"},
       {"do", "see whether the disk, or etcd, is slow or gone"}});
  Observe(Counted{"commits_failed", "HUNG"});
  const uint64_t term = term_;
  Drop(Phase::kReloading);
  // It may be durable yet, so nothing is loaded before its outcome is known.
  hung_term_ = term;
}

void NodeLoop::HungCommitEnded(const absl::Status& status) {
  hung_term_.reset();
  Log(Severity::kWarning, "commit-hung-ended",
      {{"epoch", absl::StrCat(epoch_)},
       {"took", absl::FormatDuration(parts_.executor->Monotonic() - commit_began_)},
       {"result", status.ToString()}});
  // Under a new epoch: what this broker sent under the old one may be under way, and the one that
  // is loaded knows nothing of it.
  TakeLeadAnew("a commit hung");
}

}  // namespace werkplek
