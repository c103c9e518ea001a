// Certificates that count no longer, though their time is not over.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "broker/core/tokens.h"
#include "broker/core/turn.h"

namespace werkplek {

// A revocation reaches so far past the moment of its decision. A certificate that is renewed while
// the decision is being committed, or by a broker whose clock is ahead, is dead too; who joins anew
// is given a certificate that counts as issued after it.
inline constexpr absl::Duration kRevocationReach = absl::Minutes(1);

// Every certificate that the machine has is refused from the commit on, at the next call; its
// sign-ins end. A repeated revocation reaches further, never less far.
CallAnswer RevokeCertificates(Turn& turn, const CallRequested& event,
                              const v1::RevokeCertificatesRequest& request,
                              const std::string& actor);

}  // namespace werkplek
