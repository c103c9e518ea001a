// The head of a request for a display: what is accepted, and the answer to what is not. Pure.
//
// Native viewers: `CONNECT DESKTOP HTTP/1.1` with `Authorization: Ticket TICKET`,
// `Werkplek-Channel: spice|vnc` and `Werkplek-Viewer: NONCE`; a gateway adds `Werkplek-Certificate:
// HEX`, the SHA-256 of its client's certificate. Browsers: `GET /DESKTOP` with `Upgrade:
// websocket`, an `Origin` of the list, and the subprotocols `werkplek.display` and
// `werkplek.ticket.TICKET`, since a browser sets no other headers.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/relay/relay_client.h"

namespace werkplek {

inline constexpr char kRelaySubprotocol[] = "werkplek.display";

struct RelayHead {
  std::string desktop;
  Secret ticket;
  RelayChannelKind kind = RelayChannelKind::kSpice;
  // 32 bytes: the certificate of the client that a gateway speaks for. Empty: none is named.
  std::string certificate_sha256;
  // Empty for browsers: they have one channel.
  std::string viewer;
  bool websocket = false;
};

// An HTTP status with one line for people.
struct RelayRefusal {
  unsigned status = 0;
  std::string reason;
};

// `origins`: exactly these may open websockets; empty: none may.
std::variant<RelayHead, RelayRefusal> ReadRelayHead(
    const boost::beast::http::request_header<>& head, const std::vector<std::string>& origins);

// The value of a header that stands there once; nullopt: not at all, or more than once.
std::optional<absl::string_view> OnlyValueOf(const boost::beast::http::request_header<>& head,
                                             absl::string_view name);

// 1 to `max_bytes` of [A-Za-z0-9_-].
bool IsUrlSafe(absl::string_view text, size_t max_bytes);

}  // namespace werkplek
