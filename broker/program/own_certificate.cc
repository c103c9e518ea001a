#include "broker/program/own_certificate.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"

namespace werkplek {

absl::StatusOr<bool> RenewOwnCertificateWhenDue(const BrokerConfig& config,
                                                const CertificateAuthority& authority,
                                                absl::Time now) {
  ASSIGN_OR_RETURN(const std::string pem, ReadWholeFile(config.tls.certificate, 64 * 1024));
  ASSIGN_OR_RETURN(const PeerCertificate present, ReadPeerCertificatePem(pem));
  if (now < RenewalTime(present)) return false;
  CertificateTerms terms;
  terms.peer = {v1::IDENTITY_BROKER, config.name};
  terms.dns_names = config.dns_names;
  terms.ip_addresses = config.ip_addresses;
  terms.lifetime = config.certificate_lifetime;
  ASSIGN_OR_RETURN(const Secret key, NewPrivateKeyPem());
  ASSIGN_OR_RETURN(const std::string request, NewCertificateRequestPem(key));
  ASSIGN_OR_RETURN(const std::string certificate, authority.Issue(request, terms, now));
  RETURN_IF_ERROR(InstallCertificate(config.tls, key,
                                     absl::StrCat(certificate, authority.certificate_pem()),
                                     terms.peer, authority.sha256()));
  return true;
}

}  // namespace werkplek
