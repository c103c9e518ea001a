// How long a leader may lead, by its own clock. Pure.
//
// etcd counts a lease from when it took the renewal, which is after the renewal was sent. So who
// counts one time to live from the sending is never longer in the lead than etcd allows, however
// long the answer took; that etcd may let a lease live longer (twice its time was seen) only makes
// the others wait.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace werkplek {

class LeaderLease {
 public:
  // `began`: when the call that made the lease was sent, by a clock that never jumps.
  LeaderLease(absl::Duration ttl, absl::Duration began) : ttl_(ttl), counted_from_(began) {}

  // A renewal that was sent at `began` has succeeded. Answers may come in any order.
  void Renewed(absl::Duration began) { counted_from_ = std::max(counted_from_, began); }

  // From this moment on this broker must not lead.
  absl::Duration ends() const { return counted_from_ + ttl_; }
  bool Over(absl::Duration now) const { return now >= ends(); }

  // Five renewals fit into one time to live, so that some may fail; a failed one is tried again
  // sooner.
  absl::Duration NextRenewal(absl::Duration now, bool succeeded) const {
    return now + (succeeded ? ttl_ / 5 : ttl_ / 20);
  }

 private:
  const absl::Duration ttl_;
  absl::Duration counted_from_;
};

}  // namespace werkplek
