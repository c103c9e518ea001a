#include "broker/core/revocations.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/core/access.h"
#include "broker/core/sessions.h"
#include "broker/core/sign_in.h"
#include "broker/core/views.h"
#include "broker/model/names.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kMaxReason = 256;
constexpr size_t kMaxPageBytes = 48 << 10;

// Whether the machine may know the sign-in's token. Browsers take theirs from gateway to gateway,
// and nobody keeps a list of where they came.
bool MayKnow(absl::string_view peer, const v1::SignIn& sign_in) {
  return sign_in.peer() == peer ||
         (IdentityOfPeer(peer) == v1::IDENTITY_GATEWAY && IsThroughGateway(sign_in));
}

// Whether the machine may show the session's screen.
bool MayShow(absl::string_view peer, const v1::Session& session) {
  return session.client() == peer || (IdentityOfPeer(peer) == v1::IDENTITY_GATEWAY &&
                                      IdentityOfPeer(session.client()) == v1::IDENTITY_GATEWAY);
}

// Certificates tell their times in whole seconds.
int64_t IssuedBefore(absl::Time now) {
  return (absl::ToUnixSeconds(now + kRevocationReach) + 1) * 1000;
}

absl::Status Check(const v1::RevokeCertificatesRequest& request) {
  if (IdentityOfPeer(request.peer()) == v1::IDENTITY_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        "peer: name the machine as its certificates do: host/NAME, client/NAME, gateway/NAME, "
        "admin/NAME or broker/NAME");
  }
  const std::string& reason = request.reason();
  const bool printable = std::none_of(reason.begin(), reason.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (reason.empty() || reason.size() > kMaxReason || !printable) {
    return absl::InvalidArgumentError(
        absl::StrCat("reason: give 1 to ", kMaxReason, " bytes on one line, for the audit"));
  }
  return absl::OkStatus();
}

}  // namespace

CallAnswer RevokeCertificates(Turn& turn, const CallRequested& event,
                              const v1::RevokeCertificatesRequest& request,
                              const std::string& actor) {
  RETURN_IF_ERROR(Check(request));
  v1::Revocation revocation;
  revocation.set_peer(request.peer());
  revocation.set_issued_before_unix_ms(IssuedBefore(turn.now()));
  if (const v1::Revocation* before = turn.fleet().revocations.Find(request.peer())) {
    revocation.set_issued_before_unix_ms(
        std::max(revocation.issued_before_unix_ms(), before->issued_before_unix_ms()));
  }
  revocation.set_reason(request.reason());
  revocation.set_by(actor);
  revocation.set_revoked_unix_ms(turn.now_ms());
  turn.Put(std::move(revocation));

  std::vector<std::string> ended;
  for (const auto& entry : turn.fleet().sign_ins) {
    if (MayKnow(request.peer(), *entry.record)) ended.push_back(entry.key);
  }
  turn.Audit(actor, "revoke-certificates", request.peer(), "ok", Origin(event.caller),
             {{"reason", request.reason()}, {"sign_ins_ended", absl::StrCat(ended.size())}});
  for (const std::string& id : ended) EndSignIn(turn, id);
  // A display stays open when its sign-in ends by itself: also those that the machine opened.
  CloseDisplays(turn, "", [&](const v1::Session& session) {
    return MayShow(request.peer(), session) ||
           std::binary_search(ended.begin(), ended.end(), session.sign_in());
  });
  return std::make_shared<const v1::RevokeCertificatesResponse>();
}

absl::StatusOr<v1::ListRevocationsResponse> View(const ViewContext& context,
                                                 const v1::ListRevocationsRequest& request) {
  v1::ListRevocationsResponse page;
  size_t bytes = 0;
  const Table<v1::Revocation>& all = context.fleet.revocations;
  for (auto at = request.after().empty() ? all.begin() : all.After(request.after());
       at != all.end(); ++at) {
    v1::RevocationView view;
    view.set_peer(at->record->peer());
    view.set_issued_before_unix_ms(at->record->issued_before_unix_ms());
    view.set_reason(at->record->reason());
    view.set_by(at->record->by());
    bytes += view.ByteSizeLong() + 8;
    if (page.revocations_size() > 0 && bytes > kMaxPageBytes) {
      page.set_more(true);
      break;
    }
    *page.add_revocations() = std::move(view);
  }
  return page;
}

}  // namespace werkplek
