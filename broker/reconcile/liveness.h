// What a host's silence means.
#pragma once

#include "absl/time/time.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// `silence` is counted from the last report, or, for a host that was not `heard` yet, from when
// this broker began to count: such a host is suspect until it speaks or is down.
constexpr v1::Liveness LivenessOf(absl::Duration silence, bool heard, absl::Duration suspect_after,
                                  absl::Duration down_after) {
  if (silence >= down_after) return v1::LIVENESS_DOWN;
  return heard && silence < suspect_after ? v1::LIVENESS_UP : v1::LIVENESS_SUSPECT;
}

}  // namespace werkplek
