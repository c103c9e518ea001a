// The fleet as balancing sees it.
#pragma once

#include <string>

#include "broker/core/turn.h"
#include "broker/reconcile/balancing.h"

namespace werkplek {

// The hosts of the site and what stands on them, as they will be when the moves that are under way
// are over. Costs a pass over them.
BalancePicture PictureOfSite(const Turn& turn, const std::string& site);

// The same for one host of it: the desktops of the others are counted, but not told apart.
BalancePicture PictureForHost(const Turn& turn, const std::string& host);

}  // namespace werkplek
