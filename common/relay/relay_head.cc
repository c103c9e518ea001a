#include "common/relay/relay_head.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/tls/peer_name.h"

namespace werkplek {
namespace {

namespace http = boost::beast::http;

constexpr size_t kMaxTicketBytes = 128;
constexpr size_t kMaxViewerBytes = 64;
constexpr size_t kDigestBytes = 32;
constexpr absl::string_view kTicketSubprotocol = "werkplek.ticket.";

absl::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

std::optional<RelayRefusal> ReadTicket(absl::string_view text, RelayHead& into) {
  if (!IsUrlSafe(text, kMaxTicketBytes)) return RelayRefusal{401, "the ticket is malformed"};
  into.ticket = Secret(std::string(text));
  return std::nullopt;
}

std::optional<RelayRefusal> ReadChannel(const http::request_header<>& head, RelayHead& into) {
  const std::optional<absl::string_view> channel = OnlyValueOf(head, "Werkplek-Channel");
  if (channel == "spice") {
    into.kind = RelayChannelKind::kSpice;
  } else if (channel == "vnc") {
    into.kind = RelayChannelKind::kVnc;
  } else {
    return RelayRefusal{400, "Werkplek-Channel must be spice or vnc"};
  }
  return std::nullopt;
}

// The 32 bytes; empty: it is no SHA-256.
std::string ReadDigest(absl::string_view text) {
  const bool good = text.size() == 2 * kDigestBytes && absl::c_all_of(text, absl::ascii_isxdigit);
  return good ? absl::HexStringToBytes(text) : "";
}

std::variant<RelayHead, RelayRefusal> ReadConnect(const http::request_header<>& head) {
  RelayHead result;
  result.desktop = std::string(View(head.target()));
  if (!IsPeerName(result.desktop)) return RelayRefusal{400, "the target is no desktop's name"};
  std::optional<absl::string_view> authorization = OnlyValueOf(head, "Authorization");
  if (!authorization.has_value() || !absl::ConsumePrefix(&*authorization, "Ticket ")) {
    return RelayRefusal{401, "one Authorization header with a ticket is needed"};
  }
  if (auto refusal = ReadTicket(*authorization, result)) return *refusal;
  if (auto refusal = ReadChannel(head, result)) return *refusal;
  const std::optional<absl::string_view> viewer = OnlyValueOf(head, "Werkplek-Viewer");
  if (!viewer.has_value() || !IsUrlSafe(*viewer, kMaxViewerBytes)) {
    return RelayRefusal{400, "Werkplek-Viewer must be 1 to 64 of [A-Za-z0-9_-]"};
  }
  result.viewer = std::string(*viewer);
  if (head.count("Werkplek-Certificate") > 0) {
    result.certificate_sha256 = ReadDigest(OnlyValueOf(head, "Werkplek-Certificate").value_or(""));
    if (result.certificate_sha256.empty()) {
      return RelayRefusal{400, "Werkplek-Certificate must be one SHA-256 in hexadecimal"};
    }
  }
  return result;
}

std::variant<RelayHead, RelayRefusal> ReadUpgrade(const http::request_header<>& head,
                                                  const std::vector<std::string>& origins) {
  // The exact text: a browser writes its origin in one way only.
  const std::optional<absl::string_view> origin = OnlyValueOf(head, "Origin");
  const bool welcome = origin.has_value() &&
                       std::any_of(origins.begin(), origins.end(),
                                   [&](const std::string& allowed) { return *origin == allowed; });
  if (!welcome) return RelayRefusal{403, "this origin may not open displays"};
  RelayHead result;
  result.websocket = true;
  result.kind = RelayChannelKind::kVnc;
  absl::string_view target = View(head.target());
  if (!absl::ConsumePrefix(&target, "/") || !IsPeerName(target)) {
    return RelayRefusal{400, "the target is no desktop's name"};
  }
  result.desktop = std::string(target);
  const std::optional<absl::string_view> protocols = OnlyValueOf(head, "Sec-WebSocket-Protocol");
  bool display = false;
  int tickets = 0;
  for (absl::string_view protocol : absl::StrSplit(protocols.value_or(""), ',')) {
    protocol = absl::StripAsciiWhitespace(protocol);
    display = display || protocol == kRelaySubprotocol;
    if (!absl::ConsumePrefix(&protocol, kTicketSubprotocol)) continue;
    ++tickets;
    if (auto refusal = ReadTicket(protocol, result)) return *refusal;
  }
  if (!display) return RelayRefusal{400, "the subprotocol werkplek.display is needed"};
  if (tickets != 1) return RelayRefusal{401, "one ticket is needed"};
  if (head.count("Werkplek-Channel") > 0) {
    if (auto refusal = ReadChannel(head, result)) return *refusal;
  }
  return result;
}

}  // namespace

std::optional<absl::string_view> OnlyValueOf(const http::request_header<>& head,
                                             absl::string_view name) {
  const auto [begin, end] = head.equal_range(boost::beast::string_view(name.data(), name.size()));
  if (begin == end || std::next(begin) != end) return std::nullopt;
  return View(begin->value());
}

bool IsUrlSafe(absl::string_view text, size_t max_bytes) {
  if (text.empty() || text.size() > max_bytes) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::variant<RelayHead, RelayRefusal> ReadRelayHead(const http::request_header<>& head,
                                                    const std::vector<std::string>& origins) {
  if (head.version() != 11) return RelayRefusal{505, "HTTP/1.1 only"};
  if (head.count(http::field::content_length) > 0 ||
      head.count(http::field::transfer_encoding) > 0) {
    return RelayRefusal{400, "a request for a display has no body"};
  }
  if (head.method() == http::verb::connect) return ReadConnect(head);
  if (head.method() == http::verb::get && head.count(http::field::upgrade) > 0) {
    return ReadUpgrade(head, origins);
  }
  return RelayRefusal{405, "CONNECT only"};
}

}  // namespace werkplek
