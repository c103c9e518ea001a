#include "tests/integration/rpc/odd_certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>

#include "common/tls/certificate.h"

namespace werkplek {
namespace {

void Require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "odd certificate: %s failed\n", what);
  std::abort();
}

std::string KeyPem(EVP_PKEY* key) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  Require(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "PEM_write_bio_PrivateKey");
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  Require(extension != nullptr, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

TlsFiles IssueOddCertificate(const TestPki& pki, const std::string& name,
                             const std::vector<std::string>& uris) {
  const AuthorityFiles authority = pki.authority_files();
  const auto ca_pem = ReadSecretFile(authority.key, 1 << 16);
  Require(ca_pem.ok(), "reading the authority's key");
  const auto ca_key = ParseKeyPem(ca_pem->Reveal(), authority.key);
  const auto ca = ParseCertificatesPem(pki.authority().certificate_pem(), "authority");
  Require(ca_key.ok() && ca.ok(), "parsing the authority");
  X509* issuer = ca->front().get();

  const KeyPointer key(EVP_EC_gen("P-256"));
  const X509Pointer certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 4711);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  X509_set_pubkey(certificate.get(), key.get());
  std::string names;
  for (const std::string& uri : uris) names += (names.empty() ? "URI:" : ",URI:") + uri;
  if (!names.empty()) AddExtension(certificate.get(), issuer, NID_subject_alt_name, names);
  AddExtension(certificate.get(), issuer, NID_ext_key_usage, "clientAuth");
  Require(X509_sign(certificate.get(), ca_key->get(), EVP_sha256()) > 0, "X509_sign");

  const std::string base = pki.folder() + "/" + name;
  const TlsFiles files{base + ".pem", base + ".key", authority.certificate};
  Require(WriteFileAtomically(files.certificate, CertificatePem(*certificate), 0644).ok() &&
              WriteFileAtomically(files.key, KeyPem(key.get()), 0600).ok(),
          "writing the certificate");
  return files;
}

}  // namespace werkplek
