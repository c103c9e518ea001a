// The questions that the watchdog asks.
#pragma once

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/executor.h"
#include "common/tls/ssl_context.h"

namespace werkplek {

// Whether the loop runs a task within `limit`.
absl::Status ProbeLoop(Executor* executor, absl::Duration limit);

// Whether 127.0.0.1:`port` (or ::1, when `address` is IPv6) accepts a connection and finishes a TLS
// handshake within `limit`: a listener that has stopped accepting does not (as gRPC did,
// CVE-2023-4785).
absl::Status ProbeTls(const std::string& address, int port, const SslContextPointer& context,
                      absl::Duration limit);

// The same at a port that turns connections away while it has too many, the probe's too.
// `turned_away` counts them: one more shows as well that the port accepts.
absl::Status ProbeTls(const std::string& address, int port, const SslContextPointer& context,
                      absl::Duration limit, absl::FunctionRef<uint64_t()> turned_away);

}  // namespace werkplek
