// Whether a declared thing makes sense. Errors name the field and say what to do.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "broker/model/fleet.h"
#include "werkplek/v1/resources.pb.h"

namespace werkplek {

// The resource by itself: its name, its ranges. INVALID_ARGUMENT.
absl::Status ValidateResource(const v1::Resource& resource);

// What it refers to is there, and it fits beside what is. INVALID_ARGUMENT: a field names something
// that is not there. FAILED_PRECONDITION: it cannot be so now; the message says why.
absl::Status ValidateReferences(const Fleet& fleet, const v1::Resource& resource);

// Nothing refers to it. FAILED_PRECONDITION names what does. A desktop whose host is down for good
// does not keep the host: `host_is_down` says so.
absl::Status ValidateDelete(const Fleet& fleet, v1::ResourceKind kind, absl::string_view name,
                            bool host_is_down);

}  // namespace werkplek
