#include "broker/rpc/caller.h"

#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"
#include "common/config/address_checks.h"
#include "common/grpc/browser_address.h"
#include "common/tls/certificate.h"
#include "common/tls/peer_name.h"
#include "grpc/grpc_security_constants.h"

namespace werkplek {
namespace {

constexpr absl::string_view kBearer = "Bearer ";
constexpr size_t kMaxTokenBytes = 512;
constexpr size_t kMaxKnownCertificates = 8192;

absl::string_view View(grpc::string_ref text) { return {text.data(), text.size()}; }

absl::StatusOr<std::string> TokenOf(const grpc::ServerContextBase& context) {
  const auto [first, last] = context.client_metadata().equal_range("authorization");
  if (first == last) return std::string();
  if (std::next(first) != last) {
    return absl::UnauthenticatedError("send one authorization header, not several");
  }
  return TokenSha256(View(first->second));
}

}  // namespace

std::string PeerAddress(absl::string_view grpc_peer) {
  absl::ConsumePrefix(&grpc_peer, "ipv4:");
  absl::ConsumePrefix(&grpc_peer, "ipv6:");
  return absl::StrReplaceAll(grpc_peer, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
}

absl::StatusOr<std::string> TokenSha256(absl::string_view authorization) {
  absl::string_view token = authorization;
  if (!absl::ConsumePrefix(&token, kBearer) || token.empty() || token.size() > kMaxTokenBytes) {
    return absl::UnauthenticatedError("the authorization header must be \"Bearer TOKEN\"");
  }
  return Sha256(token);
}

absl::StatusOr<std::string> CallersAddress(v1::Identity identity,
                                           const std::vector<std::string>& told,
                                           std::string transport) {
  if (told.empty()) return transport;
  // Refused rather than passed over, so that a forgery stands in the log.
  if (identity != v1::IDENTITY_GATEWAY) {
    return absl::InvalidArgumentError(
        absl::StrCat(kBrowserAddressKey, ": only a gateway tells of a browser"));
  }
  if (told.size() != 1 || !CheckNumericAddress(told.front()).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        kBrowserAddressKey, ": give one numeric address with its port, as in 192.0.2.7:51234"));
  }
  return told.front();
}

absl::Status TakeBrowserAddress(const grpc::ServerContextBase& context, Caller& caller) {
  const auto [first, last] = context.client_metadata().equal_range(kBrowserAddressKey);
  std::vector<std::string> told;
  for (auto at = first; at != last; ++at) told.emplace_back(View(at->second));
  ASSIGN_OR_RETURN(caller.address, CallersAddress(caller.identity, told, caller.address));
  return absl::OkStatus();
}

absl::StatusOr<Caller> CallerReader::Read(const grpc::ServerContextBase& context, absl::Time now) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) {
    return absl::UnauthenticatedError("a client certificate is required");
  }
  const std::vector<grpc::string_ref> pem =
      auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (pem.size() != 1) return absl::UnauthenticatedError("a client certificate is required");
  ASSIGN_OR_RETURN(Named named, NameOf(View(pem.front())));
  if (now > named.not_after) {
    return absl::UnauthenticatedError("your certificate has expired; renew it and connect anew");
  }
  Caller caller;
  caller.identity = named.identity;
  caller.peer = std::move(named.peer);
  caller.certificate_sha256 = std::move(named.sha256);
  caller.certificate_issued_unix_ms = named.issued_unix_ms;
  caller.address = PeerAddress(context.peer());
  ASSIGN_OR_RETURN(caller.token_sha256, TokenOf(context));
  return caller;
}

absl::StatusOr<CallerReader::Named> CallerReader::NameOf(absl::string_view pem) {
  const std::string key = Sha256(pem);
  {
    MutexLock lock(mutex_);
    if (const auto found = known_.find(key); found != known_.end()) return found->second;
  }
  const absl::StatusOr<PeerCertificate> certificate = ReadPeerCertificatePem(pem);
  if (!certificate.ok()) {
    return absl::UnauthenticatedError(
        absl::StrCat("your certificate does not name one Werkplek machine (",
                     certificate.status().message(), "); join this machine anew"));
  }
  Named named{.identity = certificate->name.identity,
              .peer = PeerLabel(certificate->name),
              .sha256 = certificate->sha256,
              .issued_unix_ms = absl::ToUnixMillis(certificate->issued()),
              .not_after = certificate->not_after};
  MutexLock lock(mutex_);
  if (known_.size() >= kMaxKnownCertificates) known_.clear();
  known_.emplace(key, named);
  return named;
}

}  // namespace werkplek
