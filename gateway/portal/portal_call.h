// The portal's calls as text: what browsers ask, and what they are told. Pure.
//
// A browser's sign-in lives in its cookie alone, so every gateway serves every browser. Calls that
// change something need the header `X-Werkplek` and an `Origin` of the list: no other site's page
// can send these.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/crypto.h"
#include "werkplek/v1/session.pb.h"

namespace werkplek {

struct PortalAnswer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  // Beside those that every answer has.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

using PortalHead = boost::beast::http::request_header<>;

// The access token in the browser's cookie; empty: there is none, or it cannot be one.
Secret TokenOf(const PortalHead& head);

// Whether the request comes from one of our own pages: exactly one `Origin`, of the list.
bool HasOriginOf(const PortalHead& head, const std::vector<std::string>& origins);

// What a call asks for.
struct ListCall {};
using PortalCall = std::variant<v1::SignInRequest, ListCall, v1::DisconnectRequest,
                                v1::EndSessionRequest, v1::SignOutRequest>;

// The call, or what is answered in place of it (404, 405, 403, 400).
std::variant<PortalCall, PortalAnswer> ReadCall(const PortalHead& head, const std::string& body,
                                                const std::vector<std::string>& origins);

// A display is asked for, by an upgrade to a WebSocket, or what is answered in place of it.
struct DisplayCall {
  std::string pool;
  // "?again": the page asked for it before, and lost it (ConnectRequest).
  bool again = false;
};
std::variant<DisplayCall, PortalAnswer> ReadDisplayCall(const PortalHead& head,
                                                        const std::vector<std::string>& origins);

// The answers.
PortalAnswer AnswerOf(const v1::SignInResponse& response);
PortalAnswer AnswerOf(const v1::ListPoolsResponse& response);
PortalAnswer AnswerOf(const v1::DisconnectResponse& response);
PortalAnswer AnswerOf(const v1::EndSessionResponse& response);
// The cookie goes too.
PortalAnswer AnswerOf(const v1::SignOutResponse& response);
// A broker's refusal. `signing_in`: UNAUTHENTICATED is then about password and code.
PortalAnswer AnswerOf(const absl::Status& failure, bool signing_in);
PortalAnswer ErrorAnswer(unsigned status, absl::string_view error, absl::string_view message);
// 429, with how long to wait in whole seconds, at least one.
PortalAnswer TooManyAnswer(absl::string_view error, absl::string_view message, absl::Duration wait);
// 405; `methods` are those that may be used: "GET, HEAD".
PortalAnswer NotAllowed(absl::string_view methods);

// A stage on the way to a desktop, as the text message that the page gets.
std::string StageText(const v1::ConnectUpdate& update);
// The way ended without a desktop, since a broker or a host failed.
std::string FailureText(const absl::Status& failure);
// The same, since this gateway shows as many displays as it may.
std::string GatewayFullText();

}  // namespace werkplek
