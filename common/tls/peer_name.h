// Who a machine is: the URI in its certificate, `werkplek://host/hv-a1`. Pure.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "werkplek/v1/access.pb.h"

namespace werkplek {

struct PeerName {
  v1::Identity identity = v1::IDENTITY_UNSPECIFIED;
  // 1 to 63 of [a-z0-9.-], first and last a letter or digit.
  std::string name;

  friend bool operator==(const PeerName& a, const PeerName& b) {
    return a.identity == b.identity && a.name == b.name;
  }
};

// "client", "host", "gateway", "admin", "broker"; empty for IDENTITY_UNSPECIFIED.
absl::string_view IdentityWord(v1::Identity identity);
// INVALID_ARGUMENT: no such word; the message lists the words.
absl::StatusOr<v1::Identity> ParseIdentityWord(absl::string_view word);

// Whether `name` may stand in a certificate (and as the name of a resource).
bool IsPeerName(absl::string_view name);

// "werkplek://host/hv-a1". The parts must be valid.
std::string PeerUri(const PeerName& peer);
// "host/hv-a1", for logs and `Caller::peer`.
std::string PeerLabel(const PeerName& peer);

// Strict: exactly scheme, identity word and name, each byte as PeerUri writes it; no port, user,
// query, escape or other spelling. INVALID_ARGUMENT otherwise.
absl::StatusOr<PeerName> ParsePeerUri(absl::string_view uri);

}  // namespace werkplek
