#include "broker/rpc/unary.h"

namespace werkplek {
namespace {

constexpr absl::Duration kUseCountsFor = absl::Minutes(1);

}  // namespace

void CountUse(const ServiceParts& parts, const Admitted& admitted) {
  if (admitted.picture == nullptr) return;
  const auto sign_in = SignInOf(*admitted.picture, admitted.caller);
  if (sign_in == nullptr) return;
  const absl::Time used = absl::FromUnixMillis(sign_in->last_used_unix_ms());
  if (parts.gate->Now() - used < kUseCountsFor) return;
  parts.node->SignInUsed(admitted.caller.token_sha256);
}

}  // namespace werkplek
