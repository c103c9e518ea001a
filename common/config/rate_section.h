// How often something may be done, as the configuration writes it: `{per_second: 10, burst: 600}`.
#pragma once

#include "common/base/rate_limit.h"
#include "common/config/config_file.h"

namespace werkplek {

// What the section does not say stays as it was.
void ReadRate(ConfigSection section, RateLimitSettings& rate);

}  // namespace werkplek
