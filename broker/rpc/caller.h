// Who calls: the identity in the peer's certificate, and the access token's hash.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "broker/core/event.h"
#include "common/base/mutex.h"
#include "grpcpp/server_context.h"

namespace werkplek {

// "127.0.0.1:51234" or "[::1]:51234" from gRPC's "ipv4:127.0.0.1:51234", "ipv6:%5B::1%5D:51234".
std::string PeerAddress(absl::string_view grpc_peer);

// The token of an `authorization: Bearer TOKEN` header as its SHA-256. UNAUTHENTICATED: the header
// has another form.
absl::StatusOr<std::string> TokenSha256(absl::string_view authorization);

// Where the person is whose call this is: what a gateway tells of its browser (the values of
// kBrowserAddressKey), else `transport`. INVALID_ARGUMENT: not one numeric ADDRESS:PORT, or told by
// another kind of machine.
absl::StatusOr<std::string> CallersAddress(v1::Identity identity,
                                           const std::vector<std::string>& told,
                                           std::string transport);

// Puts what the call tells of its browser in the place of the transport's address.
// INVALID_ARGUMENT: see CallersAddress.
absl::Status TakeBrowserAddress(const grpc::ServerContextBase& context, Caller& caller);

// Reads callers from calls. Thread-safe.
class CallerReader {
 public:
  // Takes the identity from the certificate that the transport verified, and the token. The caller
  // has neither name nor token when UNAUTHENTICATED: the certificate names nobody, it has expired
  // since the connection was made, or the header is malformed.
  absl::StatusOr<Caller> Read(const grpc::ServerContextBase& context, absl::Time now);

 private:
  struct Named {
    v1::Identity identity;
    std::string peer;
    std::string sha256;
    int64_t issued_unix_ms;
    absl::Time not_after;
  };

  absl::StatusOr<Named> NameOf(absl::string_view pem);

  Mutex mutex_;
  // By the PEM's SHA-256: reading a certificate costs more than the rest of a call's admission.
  absl::flat_hash_map<std::string, Named> known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace werkplek
