#include "common/http/join_client.h"

#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/folder.h"
#include "common/base/status_macros.h"
#include "common/http/http_client.h"
#include "common/pki/key_request.h"
#include "common/pki/renewal.h"
#include "common/tls/ssl_context.h"

namespace werkplek {
namespace {

using Json = nlohmann::json;

constexpr int kAttempts = 3;

absl::StatusOr<std::string> ParsePin(absl::string_view hex) {
  for (const char c : hex) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) hex = "";
  }
  if (hex.size() != 64) {
    return absl::InvalidArgumentError(
        "the authority's SHA-256 must be 64 hexadecimal digits, as printed with the code");
  }
  return absl::HexStringToBytes(hex);
}

absl::StatusOr<std::string> ChainOf(const HttpResponse& response) {
  const Json body = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* name) {
    const auto found = body.is_object() ? body.find(name) : body.end();
    return body.is_object() && found != body.end() && found->is_string() ? found->get<std::string>()
                                                                         : std::string();
  };
  if (response.status == 200) return text("certificate_chain_pem");
  const std::string why =
      absl::StrCat("the broker refused: ", absl::CHexEscape(text("error").substr(0, 512)));
  if (response.status == 429) return absl::ResourceExhaustedError(why);
  if (response.status == 403) return absl::PermissionDeniedError(why);
  if (response.status == 503) return absl::UnavailableError(why);
  return absl::InvalidArgumentError(absl::StrCat(why, " (", response.status, ")"));
}

absl::StatusOr<std::string> Ask(const JoinTerms& terms, const SslContextPointer& context,
                                const std::string& request_pem) {
  std::string body =
      Json{{"code", terms.code.Reveal()}, {"certificate_request_pem", request_pem}}.dump(
          -1, ' ', true, Json::error_handler_t::replace);
  absl::StatusOr<HttpResponse> response = absl::UnavailableError("not asked");
  for (int attempt = 0; attempt < kAttempts && absl::IsUnavailable(response.status()); ++attempt) {
    response = HttpsPost(terms.url, context, "application/json", body, terms.limit);
  }
  Wipe(body);
  RETURN_IF_ERROR(response.status());
  return ChainOf(*response);
}

}  // namespace

absl::StatusOr<TlsFiles> JoinOverHttps(const JoinTerms& terms) {
  ASSIGN_OR_RETURN(const std::string pin, ParsePin(terms.ca_sha256));
  const TlsFiles files{terms.folder + "/certificate.pem", terms.folder + "/key.pem",
                       terms.folder + "/ca.pem"};
  RETURN_IF_ERROR(MakeFolder(terms.folder, 0700));
  for (const std::string* path : {&files.certificate, &files.key, &files.ca}) {
    if (access(path->c_str(), F_OK) != 0) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(*path, " is there: this machine has joined already; move ", terms.folder,
                     " away to join anew"));
  }
  ASSIGN_OR_RETURN(const Secret key, NewPrivateKeyPem());
  ASSIGN_OR_RETURN(const std::string request, NewCertificateRequestPem(key));
  ASSIGN_OR_RETURN(const SslContextPointer context, MakePinnedClientContext(pin));
  ASSIGN_OR_RETURN(const std::string chain, Ask(terms, context, request));
  ASSIGN_OR_RETURN(const PeerCertificate given, ReadPeerCertificatePem(chain));
  if (given.name.identity != terms.identity) {
    return absl::PermissionDeniedError(absl::StrCat("the code is for ", PeerLabel(given.name),
                                                    ", not for a ", IdentityWord(terms.identity)));
  }
  RETURN_IF_ERROR(InstallCertificate(files, key, chain, given.name, pin));
  return files;
}

}  // namespace werkplek
