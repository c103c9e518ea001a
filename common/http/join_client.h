// How a new machine joins: a fresh key, the one-time code, and the first certificate.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/tls/tls_files.h"

namespace werkplek {

struct JoinTerms {
  // As `werkplekctl host add` prints them: "https://ADDRESS:PORT/v1/join", the code, and the
  // SHA-256 of the authority's certificate in hexadecimal.
  std::string url;
  Secret code;
  std::string ca_sha256;
  // Who this machine is to be; a certificate for another is refused.
  v1::Identity identity = v1::IDENTITY_UNSPECIFIED;
  // Gets certificate.pem, key.pem (0600) and ca.pem; made (0700) when it is not there, and so are
  // its parents.
  std::string folder;
  absl::Duration limit = absl::Seconds(15);
};

// Blocks for at most three times `limit`: when the answer is lost, the same key and code are sent
// again. The broker is believed only when it shows a certificate of the authority with that
// SHA-256. Errors say what to do; ALREADY_EXISTS: the folder holds a key already.
absl::StatusOr<TlsFiles> JoinOverHttps(const JoinTerms& terms);

}  // namespace werkplek
