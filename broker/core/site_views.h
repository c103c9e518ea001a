// Views of sites; what is said in views.h holds for these, too.
#pragma once

#include <string>

#include "broker/core/views.h"

namespace werkplek {

absl::StatusOr<v1::ListSitesResponse> View(const ViewContext& context,
                                           const v1::ListSitesRequest& request);
// People are in the order in which they would be served; a page holds at most `limit` of them (0:
// 500, at most 1,000) and 48 KiB.
absl::StatusOr<v1::RehearseSiteLossResponse> View(const ViewContext& context,
                                                  const v1::RehearseSiteLossRequest& request);

// A site with what stands there; zeros for one that is not declared.
v1::SiteStatus SiteStatusOf(const ViewContext& context, const std::string& site);

}  // namespace werkplek
