// One-time codes with which new machines join. In the leader's memory only, as hashes: a broker
// that restarts forgets them, and the admin asks for a new one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/base/mutex.h"
#include "common/tls/peer_name.h"

namespace werkplek {

struct JoinCodeLimits {
  absl::Duration lifetime = absl::Minutes(15);
  size_t max_codes = 1'000;
  // Codes of the last day, dead ones included.
  size_t max_remembered = 20'000;
  // Wrong codes within `window`, from one address and from all; then no code is looked at until the
  // window is over.
  absl::Duration window = absl::Minutes(1);
  uint32_t max_wrong_per_address = 5;
  uint32_t max_wrong = 100;
  // Addresses whose failures are remembered.
  size_t max_addresses = 10'000;
};

// Thread-safe.
class JoinCodes {
 public:
  // `monotonic` never jumps.
  JoinCodes(JoinCodeLimits limits, std::function<absl::Duration()> monotonic);

  // A code for the machine, "XXXX-XXXX-XXXX-XXXX-XXXX" (100 bits), good once and for `lifetime`. An
  // earlier one for the same machine is dead. The same `request_key` (caller and request id) gives
  // the same code, and no new life (ABORTED once it is over). RESOURCE_EXHAUSTED: too many codes
  // are out.
  absl::StatusOr<std::string> Add(const PeerName& peer, absl::string_view request_key);

  // The machine that the code is for; the code is spent. Case, spaces and dashes do not matter.
  // The same code for the same key (SHA-256) again is answered again while it lives, so that a
  // machine whose answer was lost may retry. PERMISSION_DENIED: unknown, spent or too old, one
  // answer for all. RESOURCE_EXHAUSTED: too many wrong codes, from where `address` is (SourceOf)
  // or from all.
  absl::StatusOr<PeerName> Redeem(absl::string_view code, absl::string_view key_sha256,
                                  const std::string& address);

  // The machine's codes are dead, also for the key that one was spent for: its certificates were
  // revoked.
  void Kill(const PeerName& peer);
  // So are all: this broker leads anew, and others may have revoked, or given out codes, since.
  void KillAll();

  absl::Duration lifetime() const { return limits_.lifetime; }

 private:
  struct Code {
    PeerName peer;
    absl::Duration ends;
    // Empty: not spent.
    std::string spent_for;
  };
  struct Window {
    absl::Duration began;
    uint32_t wrong = 0;
  };

  void DropOld(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Blocked(const std::string& source) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountWrong(const std::string& source, absl::Duration now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const JoinCodeLimits limits_;
  const std::function<absl::Duration()> monotonic_;
  // What codes are derived with, so that none need be kept in clear; new in each run.
  const Secret run_key_;
  Mutex mutex_;
  // By the code's SHA-256.
  std::map<std::string, Code> codes_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Window> wrong_by_source_ ABSL_GUARDED_BY(mutex_);
  Window wrong_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
