#include "common/pki/renewal.h"

#include <openssl/x509.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"

namespace werkplek {

absl::Time RenewalTime(const PeerCertificate& certificate) {
  return certificate.not_before + (certificate.not_after - certificate.not_before) * 2 / 3;
}

absl::Status InstallCertificate(const TlsFiles& files, const Secret& key_pem,
                                absl::string_view chain_pem, const PeerName& expected,
                                absl::string_view ca_sha256) {
  ASSIGN_OR_RETURN(const std::vector<X509Pointer> chain,
                   ParseCertificatesPem(chain_pem, "the new certificate"));
  ASSIGN_OR_RETURN(const KeyPointer key, ParseKeyPem(key_pem.Reveal(), "the new key"));
  if (chain.size() != 2) {
    return absl::FailedPreconditionError(
        "the new certificate must come with its authority's, and nothing else");
  }
  if (!EqualInConstantTime(CertificateSha256(*chain[1]), ca_sha256)) {
    return absl::PermissionDeniedError("the new certificate is from another authority");
  }
  if (X509_check_private_key(chain[0].get(), key.get()) != 1 ||
      X509_verify(chain[0].get(), X509_get0_pubkey(chain[1].get())) != 1) {
    OpensslError();
    return absl::FailedPreconditionError(
        "the new certificate is not for our key, or not signed by its authority");
  }
  RETURN_IF_ERROR(CheckCertificateTime(*chain[0], absl::Now(), "the new certificate"));
  ASSIGN_OR_RETURN(const PeerName name, CertificatePeerName(*chain[0]));
  if (!(name == expected)) {
    return absl::PermissionDeniedError(absl::StrCat("the new certificate is for ", PeerLabel(name),
                                                    ", expected ", PeerLabel(expected)));
  }
  const std::string certificate = CertificatePem(*chain[0]);
  const std::string authority = CertificatePem(*chain[1]);
  std::vector<FileToWrite> together = {{files.key, key_pem.Reveal(), 0600, /*keep_group=*/true},
                                       {files.certificate, certificate, 0644}};
  if (access(files.ca.c_str(), F_OK) != 0) together.push_back({files.ca, authority, 0644});
  return WriteFilesTogether(together);
}

}  // namespace werkplek
