// All chance of a simulation: one seed, no std distributions, the same on every compiler.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace werkplek::sim {

class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 0x1234567) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t word = state_;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    return word ^ (word >> 31);
  }
  // 0 to `count` - 1.
  uint64_t Below(uint64_t count) { return Next() % count; }
  int Between(int least, int most) { return least + static_cast<int>(Below(most - least + 1)); }
  bool Percent(int percent) { return static_cast<int>(Below(100)) < percent; }
  // In whole microseconds.
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    const int64_t span = absl::ToInt64Microseconds(most - least);
    return least + absl::Microseconds(static_cast<int64_t>(Below(span + 1)));
  }
  template <typename Item>
  const Item& Pick(const std::vector<Item>& items) {
    return items[Below(items.size())];
  }

 private:
  uint64_t state_;
};

}  // namespace werkplek::sim
