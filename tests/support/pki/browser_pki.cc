#include "tests/support/pki/browser_pki.h"

#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/pki/key_request.h"

namespace werkplek {
namespace {

constexpr absl::Duration kHalfLife = absl::Minutes(30);

void Require(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "browser pki: %s failed: %s\n", what.c_str(), OpensslError().c_str());
  std::abort();
}

Secret NewKeyPem() {
  absl::StatusOr<Secret> pem = NewPrivateKeyPem();
  Require(pem.ok(), "a new key");
  return *std::move(pem);
}

KeyPointer Parse(const Secret& pem) {
  absl::StatusOr<KeyPointer> key = ParseKeyPem(pem.Reveal(), "key");
  Require(key.ok(), "the new key");
  return *std::move(key);
}

void AddExtension(X509& certificate, X509& issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Require(extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1, value);
  X509_EXTENSION_free(extension);
}

struct Terms {
  std::string name;
  bool signs = false;
  absl::Time now;
};

// `issuer` is nullptr: it signs itself.
X509Pointer Sign(const Terms& terms, EVP_PKEY& key, X509* issuer, EVP_PKEY& issuer_key) {
  X509Pointer certificate(X509_new());
  X509* made = certificate.get();
  X509_set_version(made, X509_VERSION_3);
  static long serial = 1;
  ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
  ASN1_TIME_set(X509_getm_notBefore(made), absl::ToTimeT(terms.now - kHalfLife));
  ASN1_TIME_set(X509_getm_notAfter(made), absl::ToTimeT(terms.now + kHalfLife));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(terms.name.c_str()), -1, -1, 0);
  X509& signer = issuer == nullptr ? *made : *issuer;
  X509_set_issuer_name(made, X509_get_subject_name(&signer));
  X509_set_pubkey(made, &key);
  if (terms.signs) {
    AddExtension(*made, signer, NID_basic_constraints, "critical,CA:TRUE");
    AddExtension(*made, signer, NID_key_usage, "critical,keyCertSign");
  } else {
    AddExtension(*made, signer, NID_subject_alt_name, absl::StrCat("DNS:", terms.name));
    AddExtension(*made, signer, NID_ext_key_usage, "serverAuth");
  }
  Require(X509_sign(made, &issuer_key, EVP_sha256()) > 0, "X509_sign");
  return certificate;
}

}  // namespace

BrowserPki::BrowserPki(std::string folder) : folder_(std::move(folder)) {
  const absl::Time now = absl::Now();
  authority_.key = Parse(NewKeyPem());
  authority_.certificate =
      Sign({"Authority", true, now}, *authority_.key, nullptr, *authority_.key);
  between_.key = Parse(NewKeyPem());
  between_.certificate =
      Sign({"Between", true, now}, *between_.key, authority_.certificate.get(), *authority_.key);
}

TlsFiles BrowserPki::Issue(const std::string& dns_name, absl::Time now) {
  const Secret key_pem = NewKeyPem();
  const KeyPointer key = Parse(key_pem);
  const X509Pointer certificate =
      Sign({dns_name, false, now}, *key, between_.certificate.get(), *between_.key);
  const std::string base = absl::StrCat(folder_, "/", dns_name);
  TlsFiles files{base + ".pem", base + ".key", ""};
  const std::string chain = CertificatePem(*certificate) + CertificatePem(between());
  Require(WriteFileAtomically(files.key, key_pem.Reveal(), 0600).ok() &&
              WriteFileAtomically(files.certificate, chain, 0644).ok(),
          "writing the certificate");
  return files;
}

}  // namespace werkplek
