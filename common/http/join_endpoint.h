// POST /v1/join: {"code": ..., "certificate_request_pem": ...} gives {"certificate_chain_pem": ...}
// with 200, or {"error": ...} with 400, 403, 429 or 503.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/http/http_message.h"
#include "common/pki/certificate_office.h"

namespace werkplek {

inline constexpr char kJoinPath[] = "/v1/join";

// Makes durable that the first certificate of `chain_pem` is given to the machine at `address`
// (without port). May block for some seconds.
using JoinRecorder =
    std::function<absl::Status(const std::string& chain_pem, const std::string& address)>;

// `office` outlives the handler. What `may_join` says when it is not OK is answered with 503;
// empty: everybody with a code may join here. So is what `record` says, which is asked before a
// certificate is given out; the code is then spent for that newcomer's key. Empty: nothing is
// recorded.
HttpHandler JoinEndpoint(CertificateOffice* office,
                         std::function<absl::Status()> may_join = nullptr,
                         JoinRecorder record = nullptr);

}  // namespace werkplek
