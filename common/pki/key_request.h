// A machine's own side of getting a certificate: its key and the request it sends. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/crypto.h"
#include "common/tls/certificate.h"

namespace werkplek {

// A fresh EC P-256 key, PKCS#8 PEM.
absl::StatusOr<Secret> NewPrivateKeyPem();

// A PKCS#10 in PEM for the key. It carries no names: the authority gives them.
absl::StatusOr<std::string> NewCertificateRequestPem(const Secret& key_pem);

// Parses a request, and checks that its sender has the key and that the key is strong enough (EC
// P-256 or P-384, Ed25519, RSA of 2048 to 8192 bits). INVALID_ARGUMENT says what is wrong.
absl::StatusOr<X509ReqPointer> ParseCertificateRequestPem(absl::string_view pem);

// SHA-256 (32 bytes) of the request's public key.
std::string RequestKeySha256(const X509_REQ& request);

}  // namespace werkplek
