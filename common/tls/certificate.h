// Reading X.509 certificates with OpenSSL 3. Thread-safe: nothing here keeps state.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/tls/peer_name.h"

namespace werkplek {

// Owners of OpenSSL's objects.
template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Pointer = std::unique_ptr<X509, OpensslFree<X509_free>>;
using X509ReqPointer = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using BioPointer = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using SslContextPointer = std::shared_ptr<SSL_CTX>;

// What went wrong last in OpenSSL on this thread, for a message; empties its queue.
std::string OpensslError();

// A read-only BIO over `data`, which must outlive it.
BioPointer MemoryBio(absl::string_view data);

// All certificates of a PEM text, in order; at least one. INVALID_ARGUMENT names `what` (a file).
absl::StatusOr<std::vector<X509Pointer>> ParseCertificatesPem(absl::string_view pem,
                                                              absl::string_view what);
absl::StatusOr<X509Pointer> ParseCertificateDer(absl::string_view der, absl::string_view what);
// An unencrypted private key.
absl::StatusOr<KeyPointer> ParseKeyPem(absl::string_view pem, absl::string_view what);

std::string CertificatePem(const X509& certificate);
// 32 bytes: of the DER form, what `openssl x509 -fingerprint -sha256` shows.
std::string CertificateSha256(const X509& certificate);
absl::Time CertificateNotBefore(const X509& certificate);
absl::Time CertificateNotAfter(const X509& certificate);
// "2026-01-02T03:04:05Z".
std::string FormatUtc(absl::Time time);

// The one werkplek:// name of a certificate. INVALID_ARGUMENT: none, several, or a URI of another
// form; any URI beside the name counts as several.
absl::StatusOr<PeerName> CertificatePeerName(const X509& certificate);

// A certificate's life begins so long before it is issued, for clocks that differ.
inline constexpr absl::Duration kCertificateClockSlack = absl::Minutes(5);

// A certificate of one of our machines, as far as decisions need it.
struct PeerCertificate {
  PeerName name;
  // 32 bytes.
  std::string sha256;
  absl::Time not_before;
  absl::Time not_after;

  // When our authority signed it, to the second.
  absl::Time issued() const { return not_before + kCertificateClockSlack; }
};
absl::StatusOr<PeerCertificate> ReadPeerCertificate(const X509& certificate);
// The first certificate of a PEM text.
absl::StatusOr<PeerCertificate> ReadPeerCertificatePem(absl::string_view pem);
absl::StatusOr<PeerCertificate> ReadPeerCertificateDer(absl::string_view der);

// FAILED_PRECONDITION when `now` is outside of the certificate's life; the message has all times.
absl::Status CheckCertificateTime(const X509& certificate, absl::Time now, absl::string_view what);

}  // namespace werkplek
