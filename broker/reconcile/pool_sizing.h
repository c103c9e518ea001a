// How many desktops a pool should make, resume, suspend and remove.
#pragma once

#include <cstdint>

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// What there is of a pool. Lost desktops and those that are being removed are not in it.
struct PoolPicture {
  uint32_t min_desktops = 0;
  uint32_t max_desktops = 0;
  uint32_t running_spares = 0;
  v1::Schedulability schedulability = v1::SCHEDULABILITY_OPEN;
  // People in the queue.
  uint32_t waiting = 0;
  uint32_t assigned = 0;
  // Provisioning, starting or resetting.
  uint32_t starting = 0;
  // Used or failed, waiting for their reset.
  uint32_t dirty = 0;
  // Spares that can be given out, running and suspended.
  uint32_t running = 0;
  uint32_t suspended = 0;
  // Spares, and those that would become spares, on hosts that are closed: they exist, no more.
  uint32_t unusable = 0;
  uint32_t errors = 0;
};

struct PoolPlan {
  uint32_t create = 0;
  // Dirty ones that are wanted again; the rest of them is surplus.
  uint32_t reset = 0;
  uint32_t resume = 0;
  uint32_t suspend = 0;
  // Surplus, taken from dirty ones first, then suspended spares, then running ones.
  uint32_t remove_dirty = 0;
  uint32_t remove_suspended = 0;
  uint32_t remove_running = 0;
  // Everything that serves nobody is to go (the pool is drained).
  bool remove_all = false;
};

PoolPlan SizePool(const PoolPicture& pool);

}  // namespace werkplek
