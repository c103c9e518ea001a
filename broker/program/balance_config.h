// How sites are balanced, and when one counts as lost: the sections `balancing` and `site_loss` of
// the configuration.
#pragma once

#include "broker/core/settings.h"
#include "common/config/config_file.h"

namespace werkplek {

// Reads the section `balancing`.
void ReadBalancing(ConfigSection section, BalanceSettings& balance);

// Reads the section `site_loss`.
void ReadSiteLoss(ConfigSection section, SiteLossLimits& limits);

}  // namespace werkplek
