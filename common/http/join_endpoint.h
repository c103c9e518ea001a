// POST /v1/join: {"code": ..., "certificate_request_pem": ...} gives {"certificate_chain_pem": ...}
// with 200, or {"error": ...} with 400, 403, 429 or 503.
#pragma once

#include "common/http/http_message.h"
#include "common/pki/certificate_office.h"

namespace werkplek {

inline constexpr char kJoinPath[] = "/v1/join";

// `office` outlives the handler.
HttpHandler JoinEndpoint(CertificateOffice* office);

}  // namespace werkplek
