#include "common/grpc/retry_after.h"

namespace werkplek {

absl::string_view RetryAfterText(const grpc::ClientContext& context) {
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find(kRetryAfterKey);
  if (found == trailing.end()) return "";
  return {found->second.data(), found->second.size()};
}

}  // namespace werkplek
