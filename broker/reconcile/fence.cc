#include "broker/reconcile/fence.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace werkplek {
namespace {

std::string Clock(absl::Time at) {
  return absl::FormatTime("%H:%M:%S UTC", at, absl::UTCTimeZone());
}

// The host answers: what it says of the desktop counts.
FenceVerdict JudgeAnswer(const v1::Desktop& desktop, const FenceHostFacts& host,
                         const FenceTimes& times, absl::Time now) {
  FenceVerdict verdict;
  const v1::DesktopReport* report = host.report;
  if (report != nullptr && report->generation() == desktop.generation() && report->fenced()) {
    verdict.by = "agent";
    return verdict;
  }
  if (report != nullptr &&
      (report->power() != v1::POWER_OFF || report->generation() > desktop.generation())) {
    verdict.reason = absl::StrCat("host ", host.host, " has it running");
    return verdict;
  }
  if (report != nullptr && report->operation() != v1::COMMAND_UNSPECIFIED) {
    verdict.reason = absl::StrCat("host ", host.host, " is at work on it");
    return verdict;
  }
  // A start that was sent twice may have failed once and be obeyed yet.
  const absl::Time quiet = host.last_start + times.fence_after + times.fence_margin;
  if (now < quiet) {
    verdict.sure_at = quiet;
    verdict.reason = absl::StrCat("host ", host.host, " was told to start it; at ", Clock(quiet),
                                  " that counts no longer");
    return verdict;
  }
  verdict.by = "agent";
  return verdict;
}

FenceVerdict JudgeSilence(const v1::Desktop& desktop, const FenceHostFacts& host,
                          const FenceTimes& times, absl::Time now) {
  FenceVerdict verdict;
  if (host.switched_off >= absl::FromUnixMillis(desktop.state_since_unix_ms())) {
    verdict.by = "fence command";
    return verdict;
  }
  const absl::Duration agents = absl::Milliseconds(host.fence_after_ms);
  if (agents == absl::ZeroDuration()) {
    verdict.reason = absl::StrCat("host ", host.host,
                                  " is silent, and its agent is not known to stop it by itself");
    return verdict;
  }
  if (agents > times.fence_after) {
    verdict.reason =
        absl::StrCat("host ", host.host, " is silent, and its agent waits ",
                     absl::FormatDuration(agents), " before it stops it, longer than ",
                     "this broker's fence_after, ", absl::FormatDuration(times.fence_after));
    return verdict;
  }
  verdict.sure_at = std::max(host.last_heard, times.leading_since + times.lease_ttl) +
                    times.fence_after + times.fence_margin;
  if (now >= verdict.sure_at) {
    verdict.by = "time";
  } else {
    verdict.reason = absl::StrCat("host ", host.host, " is silent; its agent has stopped it by ",
                                  Clock(verdict.sure_at));
  }
  return verdict;
}

}  // namespace

FenceVerdict JudgeFence(const v1::Desktop& desktop, const std::vector<FenceHostFacts>& hosts,
                        const FenceTimes& times, absl::Time now) {
  FenceVerdict all;
  all.sure_at = absl::InfinitePast();
  bool sure = true;
  for (const FenceHostFacts& host : hosts) {
    FenceVerdict one = host.answers ? JudgeAnswer(desktop, host, times, now)
                                    : JudgeSilence(desktop, host, times, now);
    if (one.sure()) {
      // What is weakest is told: time before a word of anybody's.
      if (all.by.empty() || one.by == "time") all.by = std::move(one.by);
      continue;
    }
    sure = false;
    all.sure_at = std::max(all.sure_at, one.sure_at);
    absl::StrAppend(&all.reason, all.reason.empty() ? "" : "; ", one.reason);
  }
  if (!sure) all.by.clear();
  return all;
}

absl::Duration FenceRetryAfter(uint32_t failures) {
  constexpr absl::Duration kFirst = absl::Seconds(10);
  constexpr absl::Duration kLongest = absl::Minutes(5);
  return std::min(kFirst * (1 << std::min(failures, 6u)), kLongest);
}

}  // namespace werkplek
