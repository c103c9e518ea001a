// How many connections may be open whose peer has not shown who it is.
//
// gRPC does not tell when a handshake ends, but it closes a connection whose handshake takes longer
// than the handshake limit. So a connection counts until its first call arrives (the certificate
// was verified), and no longer than that limit. Decides only; the acceptor does.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace werkplek {

struct ConnectionLimitSettings {
  size_t max_unproved = 1024;
  size_t max_unproved_per_source = 32;
  // A little more than the handshake limit.
  absl::Duration counts_for = absl::Seconds(6);
  // So many handshakes at once, as long as each is younger than this: when a thousand hosts come
  // together, some finish and the others wait in the kernel, instead of all being too late. Silent
  // connections stop counting here first, so that they hold nobody up for long.
  size_t max_handshakes = 64;
  absl::Duration handshake_takes = absl::Seconds(1);
};

enum class Admission { kAdmitted, kTooMany, kTooManyOfSource };

// Thread-safe. `now` is any clock that does not jump.
class ConnectionLimits {
 public:
  explicit ConnectionLimits(ConnectionLimitSettings settings) : settings_(settings) {}

  // A connection came from "ADDRESS:PORT". Counts it when admitted.
  Admission Open(const std::string& peer, absl::Duration now);
  // Its first call came, or it was closed. Unknown peers are ignored: every call may tell.
  void Proved(const std::string& peer);

  // True: leave the next connection in the kernel's queue for the moment.
  bool Crowded(absl::Duration now);

  size_t unproved(absl::Duration now);

 private:
  void Expire(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(const std::string& peer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const ConnectionLimitSettings settings_;
  Mutex mutex_;
  // When each unproved connection was opened, and the same in the order of time.
  absl::flat_hash_map<std::string, absl::Duration> opened_ ABSL_GUARDED_BY(mutex_);
  absl::btree_set<std::pair<absl::Duration, std::string>> by_time_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> of_source_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
