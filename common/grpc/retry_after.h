// How a broker says when to try again.
#pragma once

#include <grpcpp/client_context.h>

#include "absl/strings/string_view.h"

namespace werkplek {

// Trailing metadata with which RESOURCE_EXHAUSTED and UNAVAILABLE say it, in milliseconds; also the
// key of a status' payload.
inline constexpr char kRetryAfterKey[] = "retry-after-ms";

// What the answer to this call said, as it came; empty: nothing. Valid as long as the context.
absl::string_view RetryAfterText(const grpc::ClientContext& context);

}  // namespace werkplek
