#include "common/pki/certificate_office.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/pki/key_request.h"

namespace werkplek {

CertificateOffice::CertificateOffice(OfficeSettings settings, const CertificateAuthority* authority,
                                     JoinCodes* codes, std::function<absl::Time()> now)
    : settings_(std::move(settings)), authority_(authority), codes_(codes), now_(std::move(now)) {}

absl::StatusOr<v1::AddJoinCodeResponse> CertificateOffice::AddJoinCode(
    const v1::AddJoinCodeRequest& request, absl::string_view caller) {
  // A broker's certificate is made at the broker's own machine only.
  if (IdentityWord(request.identity()).empty() || request.identity() == v1::IDENTITY_BROKER) {
    return absl::InvalidArgumentError("identity: must be HOST, CLIENT, GATEWAY or ADMIN");
  }
  if (!IsPeerName(request.name())) {
    return absl::InvalidArgumentError(
        "name: must be 1 to 63 of [a-z0-9.-], first and last a letter or digit");
  }
  if (request.request_id().empty() || request.request_id().size() > 64) {
    return absl::InvalidArgumentError("request_id: must have 1 to 64 characters");
  }
  const PeerName peer{request.identity(), request.name()};
  ASSIGN_OR_RETURN(std::string code,
                   codes_->Add(peer, absl::StrCat(caller, "/", request.request_id())));
  Log(Severity::kInfo, "join-code-added",
      {{"machine", PeerLabel(peer)}, {"by", std::string(caller)}});
  v1::AddJoinCodeResponse response;
  response.set_code(std::move(code));
  response.set_lifetime_s(uint32_t(absl::ToInt64Seconds(codes_->lifetime())));
  response.set_ca_sha256(HexEncode(authority_->sha256()));
  response.set_url(settings_.join_url);
  return response;
}

absl::StatusOr<v1::RenewCertificateResponse> CertificateOffice::RenewCertificate(
    const PeerName& peer, absl::Time present_issued, const v1::RenewCertificateRequest& request) {
  ASSIGN_OR_RETURN(std::string chain, IssueChain(peer, std::max(now_(), present_issued),
                                                 request.certificate_request_pem(), "renewal"));
  v1::RenewCertificateResponse response;
  response.set_certificate_chain_pem(std::move(chain));
  return response;
}

absl::StatusOr<std::string> CertificateOffice::Join(absl::string_view code,
                                                    absl::string_view request_pem,
                                                    const std::string& address) {
  // First the request: a newcomer with a bad one may try again with the same code.
  ASSIGN_OR_RETURN(const X509ReqPointer request, ParseCertificateRequestPem(request_pem));
  const absl::StatusOr<PeerName> peer = codes_->Redeem(code, RequestKeySha256(*request), address);
  if (!peer.ok()) {
    Log(Severity::kWarning, "join-refused",
        {{"address", address}, {"reason", std::string(peer.status().message())}});
    return peer.status();
  }
  // A revocation reaches a little into the future (broker/core/revocations.h), but not to those who
  // join anew.
  absl::Time issued = now_();
  if (settings_.revoked_before) issued = std::max(issued, settings_.revoked_before(*peer));
  return IssueChain(*peer, issued, request_pem, absl::StrCat("join from ", address));
}

absl::StatusOr<std::string> CertificateOffice::IssueChain(const PeerName& peer, absl::Time issued,
                                                          absl::string_view request_pem,
                                                          absl::string_view why) {
  CertificateTerms terms;
  terms.peer = peer;
  terms.lifetime = settings_.certificate_lifetime;
  ASSIGN_OR_RETURN(const std::string certificate, authority_->Issue(request_pem, terms, issued));
  ASSIGN_OR_RETURN(const PeerCertificate made, ReadPeerCertificatePem(certificate));
  Log(Severity::kInfo, "certificate-issued",
      {{"machine", PeerLabel(peer)},
       {"why", std::string(why)},
       {"sha256", HexEncode(made.sha256)},
       {"until", FormatUtc(made.not_after)}});
  return certificate + authority_->certificate_pem();
}

}  // namespace werkplek
