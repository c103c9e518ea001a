// The broker's desk for certificates: join codes, first certificates, renewals.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/pki/authority.h"
#include "common/pki/join_codes.h"
#include "common/tls/peer_name.h"
#include "werkplek/v1/admin.pb.h"
#include "werkplek/v1/agent.pb.h"

namespace werkplek {

struct OfficeSettings {
  absl::Duration certificate_lifetime = absl::Hours(30 * 24);
  // Where newcomers go: "https://ADDRESS:PORT/v1/join".
  std::string join_url;
  // Certificates of this machine that were issued before this time are refused. Empty: none are.
  std::function<absl::Time(const PeerName& peer)> revoked_before = nullptr;
};

// Thread-safe. Each call takes about a millisecond (a signature) and blocks on nothing. Logs what
// it issues and refuses; never a code.
class CertificateOffice {
 public:
  // Both outlive the office. `now` is the wall clock.
  CertificateOffice(OfficeSettings settings, const CertificateAuthority* authority,
                    JoinCodes* codes, std::function<absl::Time()> now);

  // For the admin service. `caller` is the calling peer ("admin/beheer-1"). INVALID_ARGUMENT names
  // the field; RESOURCE_EXHAUSTED: too many codes are out.
  absl::StatusOr<v1::AddJoinCodeResponse> AddJoinCode(const v1::AddJoinCodeRequest& request,
                                                      absl::string_view caller);

  // For the agent service: a new certificate for `peer`, the name its present one proved, which was
  // issued at `present_issued`. The new one never counts as older than that.
  absl::StatusOr<v1::RenewCertificateResponse> RenewCertificate(
      const PeerName& peer, absl::Time present_issued, const v1::RenewCertificateRequest& request);

  // For the join endpoint: the certificate and the authority's, PEM. `address` is the newcomer's,
  // without port. INVALID_ARGUMENT: the request is bad (the code is not spent); PERMISSION_DENIED
  // and RESOURCE_EXHAUSTED as of JoinCodes::Redeem.
  absl::StatusOr<std::string> Join(absl::string_view code, absl::string_view request_pem,
                                   const std::string& address);

 private:
  absl::StatusOr<std::string> IssueChain(const PeerName& peer, absl::Time issued,
                                         absl::string_view request_pem, absl::string_view why);

  const OfficeSettings settings_;
  const CertificateAuthority* const authority_;
  JoinCodes* const codes_;
  const std::function<absl::Time()> now_;
};

}  // namespace werkplek
