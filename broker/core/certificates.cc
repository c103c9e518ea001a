#include "broker/core/certificates.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "broker/model/names.h"
#include "common/base/crypto.h"

namespace werkplek {

CallAnswer AddJoinCode(Turn& turn, const CallRequested& event,
                       const v1::AddJoinCodeRequest& request, const std::string& actor) {
  const std::string peer = PeerOf(request.identity(), request.name());
  if (peer.empty()) {
    return absl::InvalidArgumentError("identity, name: they are no machine's name");
  }
  turn.Audit(actor, "join-code", peer, "ok", Origin(event.caller));
  return std::make_shared<const v1::AddJoinCodeResponse>();
}

void HandleCertificateIssued(Turn& turn, const CertificateIssued& event) {
  turn.Audit(event.peer, event.joined ? "join" : "certificate-renew",
             absl::StrCat("certificate:", HexEncode(event.certificate_sha256)), "ok", event.origin);
  turn.Answer(event.call, std::make_shared<const v1::RenewCertificateResponse>());
}

}  // namespace werkplek
