// What gateways are told of displays. Pure.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "broker/core/views.h"
#include "werkplek/v1/gateway.pb.h"

namespace werkplek {

// The desktop's host, as long as that host reports the ticket open.
absl::StatusOr<v1::FindDisplayResponse> View(const ViewContext& context,
                                             const v1::FindDisplayRequest& request);

// The site of a host; empty: no such host.
std::string SiteOf(const Fleet& fleet, const std::string& host);

}  // namespace werkplek
