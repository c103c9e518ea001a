// What sets a dedicated desktop apart. Pure.
#pragma once

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// Whether the disk may hold what its owner made: the broker by itself never makes such a desktop
// fresh and never removes it. One that has an owner but was never ready has nothing to keep yet.
inline bool IsKept(const v1::Desktop& desktop) {
  return !desktop.owner().empty() && desktop.proof().generation() != 0;
}

// Whether the pool's desktops are stopped by their agents when no leader is heard, and start
// elsewhere only when no copy can run.
inline bool IsFenced(const v1::Pool& pool) {
  return pool.kind() == v1::POOL_KIND_DEDICATED || pool.fencing() == v1::FENCING_REQUIRED;
}

// Whether it is sure that the desktop's newest generation runs nowhere: it may start anywhere.
inline bool IsFencedOff(const v1::Desktop& desktop) {
  return desktop.state() == v1::DESKTOP_STATE_OFF &&
         desktop.fenced_generation() == desktop.generation();
}

}  // namespace werkplek
