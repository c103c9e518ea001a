#include "broker/reconcile/pool_sizing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace werkplek {
namespace {

PoolPicture Pool(uint32_t min, uint32_t max, uint32_t spares) {
  PoolPicture pool;
  pool.min_desktops = min;
  pool.max_desktops = max;
  pool.running_spares = spares;
  return pool;
}

TEST(PoolSizingTest, AnEmptyPoolIsFilledToItsMinimum) {
  EXPECT_EQ(SizePool(Pool(3, 10, 1)).create, 3u);
  EXPECT_EQ(SizePool(Pool(0, 10, 2)).create, 2u);
  EXPECT_EQ(SizePool(Pool(0, 10, 0)).create, 0u);
}

TEST(PoolSizingTest, WhatStartsIsCounted) {
  PoolPicture pool = Pool(3, 10, 1);
  pool.starting = 2;
  EXPECT_EQ(SizePool(pool).create, 1u);
}

TEST(PoolSizingTest, SparesAreKeptBesideThoseInUse) {
  PoolPicture pool = Pool(2, 10, 2);
  pool.assigned = 5;
  pool.running = 1;
  EXPECT_EQ(SizePool(pool).create, 1u);
}

TEST(PoolSizingTest, PeopleWhoWaitGetADesktopEach) {
  PoolPicture pool = Pool(0, 10, 1);
  pool.assigned = 3;
  pool.waiting = 4;
  EXPECT_EQ(SizePool(pool).create, 8u - 3u);
  pool.max_desktops = 5;
  EXPECT_EQ(SizePool(pool).create, 2u);
}

TEST(PoolSizingTest, TheMaximumCountsWhatFailedAndWhatCannotBeGivenOut) {
  PoolPicture pool = Pool(4, 4, 0);
  pool.running = 1;
  pool.errors = 2;
  EXPECT_EQ(SizePool(pool).create, 1u);
  pool.unusable = 1;
  EXPECT_EQ(SizePool(pool).create, 0u);
}

TEST(PoolSizingTest, ASurplusGoesDirtyFirstThenSuspendedThenRunning) {
  PoolPicture pool = Pool(1, 10, 0);
  pool.dirty = 2;
  pool.suspended = 2;
  pool.running = 2;
  const PoolPlan plan = SizePool(pool);
  EXPECT_EQ(plan.remove_dirty, 2u);
  EXPECT_EQ(plan.remove_suspended, 2u);
  EXPECT_EQ(plan.remove_running, 1u);
  EXPECT_EQ(plan.reset, 0u);
  EXPECT_EQ(plan.create, 0u);
}

TEST(PoolSizingTest, NobodyIsThrownOut) {
  PoolPicture pool = Pool(0, 2, 0);
  pool.assigned = 5;
  const PoolPlan plan = SizePool(pool);
  EXPECT_EQ(plan.remove_dirty + plan.remove_suspended + plan.remove_running, 0u);
  EXPECT_EQ(plan.create, 0u);
}

TEST(PoolSizingTest, WhatIsWantedAgainIsReset) {
  PoolPicture pool = Pool(2, 10, 0);
  pool.dirty = 2;
  EXPECT_EQ(SizePool(pool).reset, 2u);
}

TEST(PoolSizingTest, SparesBeyondTheRunningOnesRest) {
  PoolPicture pool = Pool(5, 10, 2);
  pool.running = 5;
  EXPECT_EQ(SizePool(pool).suspend, 3u);
  EXPECT_EQ(SizePool(pool).resume, 0u);
  pool.running = 0;
  pool.suspended = 5;
  EXPECT_EQ(SizePool(pool).resume, 2u);
  pool.starting = 1;
  EXPECT_EQ(SizePool(pool).resume, 1u);
}

TEST(PoolSizingTest, ADrainedPoolIsEmptiedAndOneInMaintenanceIsLeftAlone) {
  PoolPicture pool = Pool(5, 10, 2);
  pool.running = 1;
  pool.dirty = 1;
  pool.schedulability = v1::SCHEDULABILITY_DRAINING;
  EXPECT_TRUE(SizePool(pool).remove_all);
  EXPECT_EQ(SizePool(pool).create, 0u);
  pool.schedulability = v1::SCHEDULABILITY_MAINTENANCE;
  const PoolPlan plan = SizePool(pool);
  EXPECT_FALSE(plan.remove_all);
  EXPECT_EQ(plan.create + plan.reset + plan.remove_dirty + plan.suspend + plan.resume, 0u);
}

// Whatever the picture, the plan never goes beyond the maximum, never below the minimum, and is
// done with once carried out.
TEST(PoolSizingTest, RandomPictures) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 20'000; ++round) {
    PoolPicture pool = Pool(0, 1 + random() % 12, random() % 4);
    pool.min_desktops = random() % (pool.max_desktops + 1);
    pool.waiting = random() % 5;
    pool.assigned = random() % 6;
    pool.starting = random() % 4;
    pool.dirty = random() % 4;
    pool.running = random() % 5;
    pool.suspended = random() % 5;
    pool.unusable = random() % 3;
    pool.errors = random() % 3;
    const PoolPlan plan = SizePool(pool);
    const auto existing = [](const PoolPicture& p) {
      return p.assigned + p.starting + p.dirty + p.running + p.suspended + p.unusable + p.errors;
    };
    ASSERT_LE(plan.remove_running + plan.suspend, pool.running + plan.remove_running);
    ASSERT_LE(plan.remove_suspended + plan.resume, pool.suspended);
    ASSERT_EQ(plan.reset + plan.remove_dirty, pool.dirty);
    PoolPicture after = pool;
    after.starting += plan.create + plan.reset;
    after.dirty = 0;
    after.running = pool.running - plan.remove_running - plan.suspend + plan.resume;
    after.suspended = pool.suspended - plan.remove_suspended + plan.suspend - plan.resume;
    if (plan.create > 0) {
      ASSERT_LE(existing(after), pool.max_desktops);
    }
    const PoolPlan next = SizePool(after);
    ASSERT_EQ(next.create, 0u);
    ASSERT_EQ(next.resume, 0u);
    ASSERT_EQ(next.suspend, 0u);
    ASSERT_EQ(next.remove_dirty + next.remove_running + next.remove_suspended, 0u);
  }
}

}  // namespace
}  // namespace werkplek
