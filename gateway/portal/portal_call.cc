#include "gateway/portal/portal_call.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/base/retry_after.h"
#include "common/relay/relay_head.h"
#include "common/tls/peer_name.h"
#include "gateway/link/broker_lines.h"

namespace werkplek {
namespace {

namespace http = boost::beast::http;
using nlohmann::json;

// The prefix binds it to this host, this path and TLS (RFC 6265bis).
constexpr char kCookie[] = "__Host-werkplek";
constexpr char kCookieTerms[] = "; Path=/; Secure; HttpOnly; SameSite=Strict";
constexpr size_t kMaxTokenBytes = 128;
// Someone who closes a display makes room; a person tries so often, and not a page by itself.
constexpr absl::Duration kFullWait = absl::Seconds(30);

absl::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// What was sent may hold anything; what is shown of the broker's own words is valid text.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

PortalAnswer Answer(const json& value) { return {.body = Dump(value)}; }

struct ErrorName {
  unsigned status;
  const char* error;
};

ErrorName NameOf(absl::StatusCode code, bool signing_in) {
  switch (code) {
    case absl::StatusCode::kUnauthenticated:
      return {401, signing_in ? "sign-in-failed" : "sign-in-first"};
    case absl::StatusCode::kInvalidArgument:
      return {400, "bad-request"};
    case absl::StatusCode::kPermissionDenied:
      return {403, "forbidden"};
    case absl::StatusCode::kNotFound:
      return {404, "not-found"};
    case absl::StatusCode::kAborted:
      return {409, "taken-over"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "too-many"};
    default:
      return {503, "unavailable"};
  }
}

// Which broker or host did not answer, and how, is nobody's business outside.
std::string Words(const absl::Status& status, const ErrorName& name) {
  return name.status == 503 ? "" : std::string(status.message());
}

// What a person is told: "0 seconds" is no time to wait.
int64_t WholeSeconds(absl::Duration wait) {
  return absl::ToInt64Seconds(absl::Ceil(std::max(wait, absl::Seconds(1)), absl::Seconds(1)));
}

// The fields of a request, one by one; the first that does not do is complained about.
class Fields {
 public:
  explicit Fields(const std::string& body)
      : value_(json::parse(body, nullptr, /*allow_exceptions=*/false)) {
    if (!value_.is_object()) complaint_ = "the body must be a JSON object";
  }
  // A password may be among them.
  ~Fields() {
    if (!value_.is_object()) return;
    for (json& field : value_) {
      if (field.is_string()) Wipe(field.get_ref<std::string&>());
    }
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  std::string Text(const char* name, bool required = true) {
    if (!complaint_.empty()) return "";
    const auto found = value_.find(name);
    if (found == value_.end() && !required) return "";
    if (found == value_.end() || !found->is_string()) {
      complaint_ = absl::StrCat(name, ": must be a text");
      return "";
    }
    return found->get<std::string>();
  }

  const std::string& complaint() const { return complaint_; }

 private:
  json value_;
  std::string complaint_;
};

v1::SignInRequest ReadSignIn(Fields& fields) {
  v1::SignInRequest request;
  request.set_request_id(fields.Text("request_id"));
  request.set_user(fields.Text("user"));
  request.set_password(fields.Text("password"));
  request.set_token_code(fields.Text("code"));
  request.mutable_client()->set_program("browser");
  request.mutable_client()->set_language(fields.Text("language", /*required=*/false));
  return request;
}

template <typename Request>
Request ReadSessionRequest(Fields& fields) {
  Request request;
  request.set_request_id(fields.Text("request_id"));
  request.set_session(fields.Text("session"));
  return request;
}

std::optional<PortalCall> ReadBody(absl::string_view target, Fields& fields) {
  if (target == "/api/sign-in") return ReadSignIn(fields);
  if (target == "/api/disconnect") return ReadSessionRequest<v1::DisconnectRequest>(fields);
  if (target == "/api/end") return ReadSessionRequest<v1::EndSessionRequest>(fields);
  if (target == "/api/sign-out") {
    v1::SignOutRequest request;
    request.set_request_id(fields.Text("request_id"));
    return request;
  }
  return std::nullopt;
}

std::string StateWord(v1::SessionState state) {
  absl::string_view name = v1::SessionState_Name(state);
  absl::ConsumePrefix(&name, "SESSION_STATE_");
  return absl::AsciiStrToLower(name);
}

json SessionOf(const v1::PoolView& pool) {
  if (!pool.has_session()) return nullptr;
  return {{"session", pool.session().session()},
          {"desktop", pool.session().desktop()},
          {"state", StateWord(pool.session().state())},
          {"created_unix_ms", pool.session().created_unix_ms()}};
}

}  // namespace

Secret TokenOf(const PortalHead& head) {
  const std::optional<absl::string_view> cookies = OnlyValueOf(head, "Cookie");
  Secret token;
  int found = 0;
  for (absl::string_view cookie : absl::StrSplit(cookies.value_or(""), ';')) {
    cookie = absl::StripAsciiWhitespace(cookie);
    if (!absl::ConsumePrefix(&cookie, kCookie) || !absl::ConsumePrefix(&cookie, "=")) continue;
    ++found;
    if (IsUrlSafe(cookie, kMaxTokenBytes)) token = Secret(std::string(cookie));
  }
  return found == 1 ? std::move(token) : Secret();
}

bool HasOriginOf(const PortalHead& head, const std::vector<std::string>& origins) {
  // The exact text: a browser writes its origin in one way only.
  const std::optional<absl::string_view> origin = OnlyValueOf(head, "Origin");
  return origin.has_value() && std::find(origins.begin(), origins.end(), *origin) != origins.end();
}

std::variant<PortalCall, PortalAnswer> ReadCall(const PortalHead& head, const std::string& body,
                                                const std::vector<std::string>& origins) {
  const absl::string_view target = View(head.target());
  if (target == "/api/pools") {
    if (head.method() == http::verb::get) return PortalCall(ListCall{});
    return NotAllowed("GET");
  }
  Fields fields(body);
  std::optional<PortalCall> call = ReadBody(target, fields);
  if (!call.has_value()) return ErrorAnswer(404, "not-found", "no such call");
  if (head.method() != http::verb::post) return NotAllowed("POST");
  if (!HasOriginOf(head, origins) || OnlyValueOf(head, "X-Werkplek") != "1") {
    return ErrorAnswer(403, "forbidden", "only pages of this portal may call");
  }
  if (OnlyValueOf(head, "Content-Type") != "application/json") {
    return ErrorAnswer(400, "bad-request", "Content-Type: must be application/json");
  }
  if (!fields.complaint().empty()) return ErrorAnswer(400, "bad-request", fields.complaint());
  return *std::move(call);
}

std::variant<DisplayCall, PortalAnswer> ReadDisplayCall(const PortalHead& head,
                                                        const std::vector<std::string>& origins) {
  if (!HasOriginOf(head, origins)) {
    return ErrorAnswer(403, "forbidden", "only pages of this portal may open displays");
  }
  absl::string_view pool = View(head.target());
  const bool again = absl::ConsumeSuffix(&pool, "?again");
  if (!absl::ConsumePrefix(&pool, "/display/") || !IsPeerName(pool)) {
    return ErrorAnswer(404, "not-found", "no such display");
  }
  const std::vector<absl::string_view> protocols =
      absl::StrSplit(OnlyValueOf(head, "Sec-WebSocket-Protocol").value_or(""), ',');
  const bool display =
      std::any_of(protocols.begin(), protocols.end(), [](absl::string_view protocol) {
        return absl::StripAsciiWhitespace(protocol) == kRelaySubprotocol;
      });
  if (!display) {
    return ErrorAnswer(400, "bad-request",
                       absl::StrCat("the subprotocol ", kRelaySubprotocol, " is needed"));
  }
  return DisplayCall{std::string(pool), again};
}

PortalAnswer AnswerOf(const v1::SignInResponse& response) {
  PortalAnswer answer = Answer({{"display_name", response.display_name()},
                                {"expires_unix_ms", response.expires_unix_ms()},
                                {"idle_limit_s", response.idle_limit_s()},
                                {"notices", std::vector<std::string>(response.notices().begin(),
                                                                     response.notices().end())}});
  answer.headers.emplace_back("Set-Cookie",
                              absl::StrCat(kCookie, "=", response.access_token(), kCookieTerms));
  return answer;
}

PortalAnswer AnswerOf(const v1::ListPoolsResponse& response) {
  json pools = json::array();
  for (const v1::PoolView& pool : response.pools()) {
    pools.push_back({{"pool", pool.pool()},
                     {"description", pool.description()},
                     {"available", pool.available()},
                     {"unavailable_rule", pool.unavailable_rule()},
                     {"session", SessionOf(pool)}});
  }
  return Answer({{"pools", std::move(pools)}});
}

PortalAnswer AnswerOf(const v1::DisconnectResponse&) { return Answer(json::object()); }
PortalAnswer AnswerOf(const v1::EndSessionResponse&) { return Answer(json::object()); }

PortalAnswer AnswerOf(const v1::SignOutResponse&) {
  PortalAnswer answer = Answer(json::object());
  answer.headers.emplace_back("Set-Cookie",
                              absl::StrCat(kCookie, "=", kCookieTerms, "; Max-Age=0"));
  // Not "cookies": these would go for every site of the organisation's domain.
  answer.headers.emplace_back("Clear-Site-Data", R"("cache", "storage")");
  return answer;
}

PortalAnswer AnswerOf(const absl::Status& failure, bool signing_in) {
  if (signing_in && absl::IsUnauthenticated(failure) &&
      RetryDelayOf(failure) > absl::ZeroDuration()) {
    return TooManyAnswer("sign-in-paused", failure.message(), RetryDelayOf(failure));
  }
  const ErrorName name = NameOf(failure.code(), signing_in);
  if (name.status == 429) {
    return TooManyAnswer(name.error, Words(failure, name), RetryDelayOf(failure));
  }
  return ErrorAnswer(name.status, name.error, Words(failure, name));
}

PortalAnswer ErrorAnswer(unsigned status, absl::string_view error, absl::string_view message) {
  PortalAnswer answer = Answer({{"error", std::string(error)}, {"message", std::string(message)}});
  answer.status = status;
  return answer;
}

PortalAnswer TooManyAnswer(absl::string_view error, absl::string_view message,
                           absl::Duration wait) {
  PortalAnswer answer = ErrorAnswer(429, error, message);
  answer.headers.emplace_back("Retry-After", absl::StrCat(WholeSeconds(wait)));
  return answer;
}

PortalAnswer NotAllowed(absl::string_view methods) {
  PortalAnswer answer = ErrorAnswer(405, "bad-request", absl::StrCat(methods, " only"));
  answer.headers.emplace_back("Allow", std::string(methods));
  return answer;
}

std::string StageText(const v1::ConnectUpdate& update) {
  switch (update.stage_case()) {
    case v1::ConnectUpdate::kQueued:
      return Dump({{"stage", "queued"},
                   {"position", update.queued().position()},
                   {"deadline_unix_ms", update.queued().deadline_unix_ms()}});
    case v1::ConnectUpdate::kStarting:
      return Dump({{"stage", "starting"}});
    case v1::ConnectUpdate::kPreparing:
      return Dump({{"stage", "preparing"}});
    case v1::ConnectUpdate::kReady:
      return Dump({{"stage", "ready"},
                   {"session", update.ready().session()},
                   {"desktop", update.ready().desktop()},
                   {"resumed", update.ready().resumed()}});
    case v1::ConnectUpdate::kRefused:
      return Dump({{"stage", "refused"},
                   {"rule", update.refused().rule()},
                   {"reasons", std::vector<std::string>(update.refused().reasons().begin(),
                                                        update.refused().reasons().end())},
                   {"explain_id", update.refused().explain_id()}});
    case v1::ConnectUpdate::STAGE_NOT_SET:
      break;
  }
  return Dump({{"stage", "waiting"}});
}

std::string FailureText(const absl::Status& failure) {
  const ErrorName name = NameOf(failure.code(), /*signing_in=*/false);
  json text = {{"stage", "failed"}, {"error", name.error}, {"message", Words(failure, name)}};
  if (name.status == 429) text["retry_after_s"] = WholeSeconds(RetryDelayOf(failure));
  return Dump(text);
}

std::string GatewayFullText() {
  return Dump({{"stage", "failed"},
               {"error", "gateway-full"},
               {"message", "this gateway shows as many displays as it may"},
               {"retry_after_s", WholeSeconds(kFullWait)}});
}

}  // namespace werkplek
