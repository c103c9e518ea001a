// The broker's own certificate authority: short-lived certificates for our machines, nothing else.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "common/tls/certificate.h"
#include "common/tls/peer_name.h"

namespace werkplek {

// What goes into one certificate. Nothing is taken from the request but its key.
struct CertificateTerms {
  PeerName peer;
  // For programs that look at host names (browsers, health checks); ours look at the URI.
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  absl::Duration lifetime = absl::Hours(30 * 24);
};

struct AuthorityFiles {
  std::string certificate;
  std::string key;
};

// Thread-safe after Create or Load.
class CertificateAuthority {
 public:
  // A new authority: EC P-256, may sign end certificates only. `organisation` goes into its name.
  static absl::StatusOr<std::unique_ptr<CertificateAuthority>> Create(
      absl::string_view organisation, absl::Duration lifetime, absl::Time now);
  static absl::StatusOr<std::unique_ptr<CertificateAuthority>> FromPem(
      absl::string_view certificate_pem, const Secret& key_pem);
  // The key file must be closed to others. Errors name the file.
  static absl::StatusOr<std::unique_ptr<CertificateAuthority>> Load(const AuthorityFiles& files);
  // The key with mode 0600. ALREADY_EXISTS when one of the files is there: an authority is never
  // overwritten.
  absl::Status Save(const AuthorityFiles& files) const;

  // Signs for the key of the request (PKCS#10 PEM; its names are ignored). The life begins five
  // minutes before `now`, for clocks that differ, and never outlasts the authority's own.
  // INVALID_ARGUMENT: the request or a name is bad. FAILED_PRECONDITION: the authority has expired.
  absl::StatusOr<std::string> Issue(absl::string_view request_pem, const CertificateTerms& terms,
                                    absl::Time now) const;

  const std::string& certificate_pem() const { return certificate_pem_; }
  // 32 bytes.
  const std::string& sha256() const { return sha256_; }
  absl::Time not_after() const { return CertificateNotAfter(*certificate_); }

 private:
  CertificateAuthority(X509Pointer certificate, KeyPointer key);

  const X509Pointer certificate_;
  const KeyPointer key_;
  const std::string certificate_pem_;
  const std::string sha256_;
};

}  // namespace werkplek
