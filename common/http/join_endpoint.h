// POST /v1/join: {"code": ..., "certificate_request_pem": ...} gives {"certificate_chain_pem": ...}
// with 200, or {"error": ...} with 400, 403, 429 or 503.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "common/http/http_message.h"
#include "common/pki/certificate_office.h"

namespace werkplek {

inline constexpr char kJoinPath[] = "/v1/join";

// `office` outlives the handler. What `may_join` says when it is not OK is answered with 503;
// empty: everybody with a code may join here.
HttpHandler JoinEndpoint(CertificateOffice* office,
                         std::function<absl::Status()> may_join = nullptr);

}  // namespace werkplek
