// How a broker says when to try again.
#pragma once

#include <grpcpp/client_context.h>

#include "absl/strings/string_view.h"
#include "common/base/retry_after.h"

namespace werkplek {

// What the answer to this call said (kRetryAfterKey), as it came; empty: nothing. Valid as long as
// the context.
absl::string_view RetryAfterText(const grpc::ClientContext& context);

}  // namespace werkplek
