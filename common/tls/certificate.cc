#include "common/tls/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <climits>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "common/base/crypto.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

// A system's whole bundle of authorities has about 150.
constexpr size_t kMaxCertificates = 1000;

absl::Time FromAsn1(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

using NamesPointer = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;

}  // namespace

std::string OpensslError() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    if (!text.empty()) continue;
    char buffer[256];
    ERR_error_string_n(code, buffer, sizeof(buffer));
    text = buffer;
  }
  return text.empty() ? "no further detail" : text;
}

BioPointer MemoryBio(absl::string_view data) {
  // An empty buffer must not become a null pointer: BIO_new_mem_buf refuses that.
  const char* start = data.empty() ? "" : data.data();
  return BioPointer(BIO_new_mem_buf(start, data.size() > INT_MAX ? 0 : int(data.size())));
}

absl::StatusOr<std::vector<X509Pointer>> ParseCertificatesPem(absl::string_view pem,
                                                              absl::string_view what) {
  const BioPointer bio = MemoryBio(pem);
  std::vector<X509Pointer> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
    if (certificates.size() > kMaxCertificates) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ": holds more than ", kMaxCertificates, " certificates"));
    }
  }
  const unsigned long error = ERR_peek_last_error();
  const bool end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string detail = OpensslError();
  if (!end) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": holds a damaged certificate (", detail, ")"));
  }
  if (certificates.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": holds no certificate; expected PEM with -----BEGIN CERTIFICATE-----"));
  }
  return certificates;
}

absl::StatusOr<X509Pointer> ParseCertificateDer(absl::string_view der, absl::string_view what) {
  const unsigned char* at = reinterpret_cast<const unsigned char*>(der.data());
  X509Pointer certificate(d2i_X509(nullptr, &at, long(der.size())));
  const std::string detail = OpensslError();
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": not a certificate (", detail, ")"));
  }
  if (at != reinterpret_cast<const unsigned char*>(der.data()) + der.size()) {
    return absl::InvalidArgumentError(absl::StrCat(what, ": bytes follow the certificate"));
  }
  return certificate;
}

absl::StatusOr<KeyPointer> ParseKeyPem(absl::string_view pem, absl::string_view what) {
  const BioPointer bio = MemoryBio(pem);
  // An encrypted key would ask at the terminal; this answers for it.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  const std::string detail = OpensslError();
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": holds no readable private key; expected PEM without a password (", detail, ")"));
  }
  return key;
}

std::string CertificatePem(const X509& certificate) {
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), &certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size_t(size));
}

std::string CertificateSha256(const X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(&certificate, &der);
  if (size <= 0) return "";
  std::string digest = Sha256(absl::string_view(reinterpret_cast<const char*>(der), size_t(size)));
  OPENSSL_free(der);
  return digest;
}

absl::Time CertificateNotBefore(const X509& certificate) {
  return FromAsn1(X509_get0_notBefore(&certificate));
}

absl::Time CertificateNotAfter(const X509& certificate) {
  return FromAsn1(X509_get0_notAfter(&certificate));
}

std::string FormatUtc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<PeerName> CertificatePeerName(const X509& certificate) {
  const NamesPointer names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  OpensslError();
  std::string uri;
  int uris = 0;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    ++uris;
    const ASN1_IA5STRING* text = name->d.uniformResourceIdentifier;
    // By length, so that a NUL inside cannot hide the rest of a name.
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
               size_t(ASN1_STRING_length(text)));
  }
  if (uris != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate names ", uris,
                     " URIs; expected exactly one, of the form werkplek://IDENTITY/NAME"));
  }
  return ParsePeerUri(uri);
}

absl::StatusOr<PeerCertificate> ReadPeerCertificate(const X509& certificate) {
  ASSIGN_OR_RETURN(PeerName name, CertificatePeerName(certificate));
  return PeerCertificate{std::move(name), CertificateSha256(certificate),
                         CertificateNotBefore(certificate), CertificateNotAfter(certificate)};
}

absl::StatusOr<PeerCertificate> ReadPeerCertificatePem(absl::string_view pem) {
  ASSIGN_OR_RETURN(std::vector<X509Pointer> chain, ParseCertificatesPem(pem, "certificate"));
  return ReadPeerCertificate(*chain.front());
}

absl::StatusOr<PeerCertificate> ReadPeerCertificateDer(absl::string_view der) {
  ASSIGN_OR_RETURN(X509Pointer certificate, ParseCertificateDer(der, "certificate"));
  return ReadPeerCertificate(*certificate);
}

absl::Status CheckCertificateTime(const X509& certificate, absl::Time now, absl::string_view what) {
  const absl::Time from = CertificateNotBefore(certificate);
  const absl::Time until = CertificateNotAfter(certificate);
  if (now >= from && now <= until) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      what, ": ", now < from ? "not valid yet" : "expired", ": valid from ", FormatUtc(from),
      " to ", FormatUtc(until), ", this machine's clock says ", FormatUtc(now),
      now < from ? "; check both clocks" : "; renew it, or check the clock"));
}

}  // namespace werkplek
