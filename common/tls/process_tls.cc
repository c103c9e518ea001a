#include "common/tls/process_tls.h"

#include <openssl/conf.h>
#include <openssl/ssl.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/tls/certificate.h"

namespace werkplek {
namespace {

constexpr absl::string_view kConfiguration =
    "werkplek_conf = modules\n"
    "[modules]\n"
    "ssl_conf = contexts\n"
    "[contexts]\n"
    "system_default = least\n"
    "[least]\n"
    // Not MinProtocol: gRPC sets that one itself. Options only add up.
    "Protocol = -ALL,TLSv1.3\n"
    "Ciphersuites = TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256\n";

using ConfPointer = std::unique_ptr<CONF, OpensslFree<NCONF_free>>;

absl::Status Apply() {
  if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr) != 1) {
    return absl::InternalError(absl::StrCat("OpenSSL does not start: ", OpensslError()));
  }
  OPENSSL_load_builtin_modules();
  const ConfPointer configuration(NCONF_new(nullptr));
  const BioPointer bio = MemoryBio(kConfiguration);
  long line = 0;
  if (NCONF_load_bio(configuration.get(), bio.get(), &line) <= 0 ||
      CONF_modules_load(configuration.get(), "werkplek_conf", 0) <= 0) {
    return absl::InternalError(
        absl::StrCat("OpenSSL refuses the TLS 1.3 rule (line ", line, "): ", OpensslError()));
  }
  // The rule must hold, not only be accepted: a context as gRPC makes it offers no TLS 1.2.
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  const bool holds = context != nullptr && (SSL_CTX_get_options(context) & SSL_OP_NO_TLSv1_2) != 0;
  SSL_CTX_free(context);
  if (!holds) return absl::InternalError("OpenSSL took the TLS 1.3 rule and does not follow it");
  return absl::OkStatus();
}

}  // namespace

absl::Status RequireTls13InThisProcess() {
  static const absl::Status& status = *new absl::Status(Apply());
  return status;
}

}  // namespace werkplek
