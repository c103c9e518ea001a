#include "common/http/join_endpoint.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/match.h"

namespace werkplek {
namespace {

using Json = nlohmann::json;

HttpResponse Refusal(int status, absl::string_view why) {
  // Bytes that are not UTF-8 become a replacement mark instead of an exception.
  const Json body = {{"error", std::string(why)}};
  return {status, "application/json", body.dump(-1, ' ', true, Json::error_handler_t::replace)};
}

int HttpStatus(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    default:
      return 503;
  }
}

// Empty: the field is not a text.
std::string Field(const Json& body, const char* name) {
  const auto found = body.find(name);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

HttpResponse Answer(CertificateOffice* office, const std::function<absl::Status()>& may_join,
                    const JoinRecorder& record, const HttpRequest& request) {
  if (request.target != kJoinPath) return Refusal(404, "nothing is here");
  if (request.method != "POST") return Refusal(405, "use POST");
  if (!absl::StartsWithIgnoreCase(request.content_type, "application/json")) {
    return Refusal(415, "the body must be application/json");
  }
  const Json body = Json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) return Refusal(400, "the body must be a JSON object");
  const std::string code = Field(body, "code");
  const std::string pem = Field(body, "certificate_request_pem");
  if (code.empty()) return Refusal(400, "code: must be a text that is not empty");
  if (pem.empty()) return Refusal(400, "certificate_request_pem: must be a text that is not empty");
  if (may_join) {
    if (const absl::Status here = may_join(); !here.ok()) return Refusal(503, here.message());
  }
  const absl::StatusOr<std::string> chain = office->Join(code, pem, request.address);
  if (!chain.ok()) return Refusal(HttpStatus(chain.status()), chain.status().message());
  if (record) {
    const absl::Status kept = record(*chain, request.address);
    if (!kept.ok()) return Refusal(503, kept.message());
  }
  return {200, "application/json", Json{{"certificate_chain_pem", *chain}}.dump()};
}

}  // namespace

HttpHandler JoinEndpoint(CertificateOffice* office, std::function<absl::Status()> may_join,
                         JoinRecorder record) {
  return [office, may_join = std::move(may_join), record = std::move(record)](
             const HttpRequest& request) { return Answer(office, may_join, record, request); };
}

}  // namespace werkplek
