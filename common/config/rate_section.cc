#include "common/config/rate_section.h"

#include <cstdint>

namespace werkplek {

void ReadRate(ConfigSection section, RateLimitSettings& rate) {
  uint32_t per_second = static_cast<uint32_t>(rate.per_second);
  uint32_t burst = static_cast<uint32_t>(rate.burst);
  if (section.Number("per_second", &per_second, {.min = 1, .max = 10'000})) {
    rate.per_second = per_second;
  }
  if (section.Number("burst", &burst, {.min = 1, .max = 100'000})) rate.burst = burst;
}

}  // namespace werkplek
