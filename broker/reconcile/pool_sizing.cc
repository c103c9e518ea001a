#include "broker/reconcile/pool_sizing.h"

#include <algorithm>

namespace werkplek {
namespace {

uint32_t Less(uint32_t a, uint32_t b) { return a > b ? a - b : 0; }

}  // namespace

PoolPlan SizePool(const PoolPicture& pool) {
  PoolPlan plan;
  if (pool.schedulability == v1::SCHEDULABILITY_DRAINING) {
    plan.remove_all = true;
    return plan;
  }
  // In maintenance nothing is begun and nothing is stopped.
  if (pool.schedulability == v1::SCHEDULABILITY_MAINTENANCE) return plan;

  const uint32_t wanted =
      std::min(pool.max_desktops,
               std::max(pool.min_desktops, pool.assigned + pool.waiting + pool.running_spares));
  const uint32_t usable =
      pool.assigned + pool.starting + pool.dirty + pool.running + pool.suspended;
  const uint32_t existing = usable + pool.unusable + pool.errors;

  uint32_t surplus = std::max(Less(usable, wanted), Less(existing, pool.max_desktops));
  plan.remove_dirty = std::min(surplus, pool.dirty);
  surplus -= plan.remove_dirty;
  plan.remove_suspended = std::min(surplus, pool.suspended);
  surplus -= plan.remove_suspended;
  plan.remove_running = std::min(surplus, pool.running);

  plan.reset = pool.dirty - plan.remove_dirty;
  plan.create = std::min(Less(wanted, usable), Less(pool.max_desktops, existing));

  const uint32_t suspended = pool.suspended - plan.remove_suspended;
  const uint32_t running = pool.running - plan.remove_running;
  const uint32_t running_wanted = pool.running_spares + pool.waiting;
  plan.resume = std::min(suspended, Less(running_wanted, running + pool.starting));
  plan.suspend = Less(running, running_wanted);
  return plan;
}

}  // namespace werkplek
