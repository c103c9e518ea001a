// Where a pool's desktops may stand. Pure.
#pragma once

#include <algorithm>
#include <string>

#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// A pool that names no sites may use each.
inline bool MayStandIn(const v1::Pool& pool, const std::string& site) {
  const auto& sites = pool.sites();
  return sites.empty() || std::find(sites.begin(), sites.end(), site) != sites.end();
}

}  // namespace werkplek
