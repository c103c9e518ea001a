// A join code that was given out before its machine was revoked is no way back.
#pragma once

#include <cstdint>

#include "broker/node/broker_node.h"
#include "common/pki/join_codes.h"

namespace werkplek {

// Thread-compatible.
class RevokedCodes {
 public:
  // `codes` outlives it.
  explicit RevokedCodes(JoinCodes* codes) : codes_(codes) {}

  // After each commit, in their order; `epoch` is that of this broker's lead (0: it has none).
  // Kills the codes of the machines that were revoked, and all codes of an earlier lead: another
  // broker may have given out others since.
  void After(const Committed& committed, uint64_t epoch);

 private:
  JoinCodes* const codes_;
  // Of the commit before.
  uint64_t epoch_ = 0;
  Picture picture_;
};

}  // namespace werkplek
