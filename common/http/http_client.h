// One HTTPS request, with a deadline.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_message.h"
#include "common/tls/certificate.h"

namespace werkplek {

// Posts `body` to "https://NAME[:PORT]/PATH" and gives the answer, of whatever status; its body has
// at most 64 KiB. Blocks for at most `limit`. The context judges the server. INVALID_ARGUMENT: the
// URL; UNAVAILABLE: no connection, no TLS, or no whole answer in time.
absl::StatusOr<HttpResponse> HttpsPost(const std::string& url, const SslContextPointer& context,
                                       absl::string_view content_type, const std::string& body,
                                       absl::Duration limit);

// The same without a body.
absl::StatusOr<HttpResponse> HttpsGet(const std::string& url, const SslContextPointer& context,
                                      absl::Duration limit);

}  // namespace werkplek
