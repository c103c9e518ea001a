#include "common/tls/peer_name.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace werkplek {
namespace {

constexpr absl::string_view kScheme = "werkplek://";
constexpr size_t kMaxNameBytes = 63;
// Longer URIs are not even shown.
constexpr size_t kMaxUriBytes = 128;

}  // namespace

absl::string_view IdentityWord(v1::Identity identity) {
  switch (identity) {
    case v1::IDENTITY_CLIENT:
      return "client";
    case v1::IDENTITY_HOST:
      return "host";
    case v1::IDENTITY_GATEWAY:
      return "gateway";
    case v1::IDENTITY_ADMIN:
      return "admin";
    case v1::IDENTITY_BROKER:
      return "broker";
    default:
      return "";
  }
}

absl::StatusOr<v1::Identity> ParseIdentityWord(absl::string_view word) {
  for (const v1::Identity identity : {v1::IDENTITY_CLIENT, v1::IDENTITY_HOST, v1::IDENTITY_GATEWAY,
                                      v1::IDENTITY_ADMIN, v1::IDENTITY_BROKER}) {
    if (word == IdentityWord(identity)) return identity;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(word.substr(0, 32)),
                                                 "\" is none of client, host, gateway, admin, "
                                                 "broker"));
}

bool IsPeerName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) return false;
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '.' && c != '-') return false;
  }
  const auto edge = [](char c) { return c != '.' && c != '-'; };
  return edge(name.front()) && edge(name.back());
}

std::string PeerUri(const PeerName& peer) { return absl::StrCat(kScheme, PeerLabel(peer)); }

std::string PeerLabel(const PeerName& peer) {
  return absl::StrCat(IdentityWord(peer.identity), "/", peer.name);
}

absl::StatusOr<PeerName> ParsePeerUri(absl::string_view uri) {
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a Werkplek identity: \"", absl::CHexEscape(uri.substr(0, kMaxUriBytes)), "\": ", why));
  };
  if (uri.size() > kMaxUriBytes) return refuse("too long");
  absl::string_view rest = uri;
  if (!absl::ConsumePrefix(&rest, kScheme)) return refuse("it must start with werkplek://");
  const size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) return refuse("it must be werkplek://IDENTITY/NAME");
  const absl::StatusOr<v1::Identity> identity = ParseIdentityWord(rest.substr(0, slash));
  if (!identity.ok()) return refuse(identity.status().message());
  const absl::string_view name = rest.substr(slash + 1);
  if (!IsPeerName(name)) {
    return refuse("the name must be 1 to 63 of [a-z0-9.-], first and last a letter or digit");
  }
  return PeerName{*identity, std::string(name)};
}

}  // namespace werkplek
