#include "broker/reconcile/disconnect.h"

#include <algorithm>

namespace werkplek {

DisconnectVerdict JudgeDisconnected(const v1::DisconnectPolicy& policy, absl::Time since,
                                    bool suspended, absl::Time now) {
  const absl::Time end = policy.end_after_s() == 0 ? absl::InfiniteFuture()
                                                   : since + absl::Seconds(policy.end_after_s());
  const absl::Time suspend = policy.suspend_after_s() == 0 || suspended
                                 ? absl::InfiniteFuture()
                                 : since + absl::Seconds(policy.suspend_after_s());
  DisconnectVerdict verdict;
  if (now >= end) {
    verdict.step = DisconnectStep::kEnd;
  } else if (now >= suspend) {
    verdict.step = DisconnectStep::kSuspend;
    verdict.next = end;
  } else {
    verdict.next = std::min(suspend, end);
  }
  return verdict;
}

}  // namespace werkplek
