#include "common/pki/authority.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/pki/key_request.h"
#include "common/tls/tls_files.h"

namespace werkplek {
namespace {

constexpr size_t kMaxNames = 32;

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("certificate: ", what, ": ", OpensslError()));
}

bool SetTime(ASN1_TIME* field, absl::Time time) {
  return ASN1_TIME_adj(field, absl::ToTimeT(time), 0, 0) != nullptr;
}

// 127 random bits: positive, unique, not guessable.
bool SetSerial(X509& certificate) {
  std::string bytes = RandomBytes(16);
  bytes[0] = char(bytes[0] & 0x7f);
  BIGNUM* number =
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()), nullptr);
  const bool ok = number != nullptr &&
                  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(&certificate)) != nullptr;
  BN_free(number);
  return ok;
}

// `value` is one of our own constants, in the syntax of x509v3_config(5); never outside input.
bool AddExtension(X509& certificate, const X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool ok = extension != nullptr && X509_add_ext(&certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool AddNameEntry(X509_NAME* name, const char* field, absl::string_view value) {
  return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(value.data()),
                                    int(value.size()), -1, 0) == 1;
}

using NamesPointer = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;

bool PushText(GENERAL_NAMES* names, int type, absl::string_view text) {
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (value == nullptr || name == nullptr ||
      ASN1_STRING_set(value, text.data(), int(text.size())) != 1) {
    ASN1_IA5STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

bool PushAddress(GENERAL_NAMES* names, const std::string& address) {
  ASN1_OCTET_STRING* value = a2i_IPADDRESS(address.c_str());
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (value == nullptr || name == nullptr) {
    ASN1_OCTET_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, GEN_IPADD, value);
  if (sk_GENERAL_NAME_push(names, name) > 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

bool IsDnsName(absl::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-';
  });
}

absl::Status AddAlternativeNames(X509& certificate, const CertificateTerms& terms) {
  const NamesPointer names(GENERAL_NAMES_new());
  if (!PushText(names.get(), GEN_URI, PeerUri(terms.peer))) return Failed("URI");
  for (const std::string& dns : terms.dns_names) {
    if (!IsDnsName(dns)) {
      return absl::InvalidArgumentError(absl::StrCat("\"", dns, "\" is not a DNS name"));
    }
    if (!PushText(names.get(), GEN_DNS, dns)) return Failed("DNS name");
  }
  for (const std::string& address : terms.ip_addresses) {
    if (!PushAddress(names.get(), address)) {
      OpensslError();
      return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is not an IP address"));
    }
  }
  if (X509_add1_ext_i2d(&certificate, NID_subject_alt_name, names.get(), 0, 0) != 1) {
    return Failed("alternative names");
  }
  return absl::OkStatus();
}

// Those who only call need no right to answer.
const char* ExtendedUse(v1::Identity identity) {
  const bool calls_only = identity == v1::IDENTITY_CLIENT || identity == v1::IDENTITY_ADMIN;
  return calls_only ? "clientAuth" : "serverAuth,clientAuth";
}

absl::Status CheckTerms(const CertificateTerms& terms) {
  if (IdentityWord(terms.peer.identity).empty()) {
    return absl::InvalidArgumentError("the certificate needs an identity");
  }
  if (!IsPeerName(terms.peer.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", terms.peer.name,
                     "\": a name must be 1 to 63 of [a-z0-9.-], first and last a letter or digit"));
  }
  if (terms.dns_names.size() + terms.ip_addresses.size() > kMaxNames) {
    return absl::InvalidArgumentError(absl::StrCat("more than ", kMaxNames, " names"));
  }
  if (terms.lifetime < absl::Minutes(1)) {
    return absl::InvalidArgumentError("a certificate must live for a minute at least");
  }
  return absl::OkStatus();
}

}  // namespace

CertificateAuthority::CertificateAuthority(X509Pointer certificate, KeyPointer key)
    : certificate_(std::move(certificate)),
      key_(std::move(key)),
      certificate_pem_(CertificatePem(*certificate_)),
      sha256_(CertificateSha256(*certificate_)) {}

absl::StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Create(
    absl::string_view organisation, absl::Duration lifetime, absl::Time now) {
  if (organisation.empty() || organisation.size() > 64) {
    return absl::InvalidArgumentError("the organisation's name must have 1 to 64 bytes");
  }
  KeyPointer key(EVP_EC_gen("P-256"));
  X509Pointer certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return Failed("key");
  X509& cert = *certificate;
  X509_NAME* name = X509_get_subject_name(&cert);
  const bool ok =
      X509_set_version(&cert, X509_VERSION_3) == 1 && SetSerial(cert) &&
      SetTime(X509_getm_notBefore(&cert), now - kCertificateClockSlack) &&
      SetTime(X509_getm_notAfter(&cert), now + lifetime) && AddNameEntry(name, "O", organisation) &&
      AddNameEntry(name, "CN", "Werkplek machines") && X509_set_issuer_name(&cert, name) == 1 &&
      X509_set_pubkey(&cert, key.get()) == 1 &&
      AddExtension(cert, &cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(cert, &cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      AddExtension(cert, &cert, NID_subject_key_identifier, "hash") &&
      X509_sign(&cert, key.get(), EVP_sha256()) > 0;
  if (!ok) return Failed("authority");
  return std::unique_ptr<CertificateAuthority>(
      new CertificateAuthority(std::move(certificate), std::move(key)));
}

absl::StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::FromPem(
    absl::string_view certificate_pem, const Secret& key_pem) {
  ASSIGN_OR_RETURN(std::vector<X509Pointer> certificates,
                   ParseCertificatesPem(certificate_pem, "authority's certificate"));
  ASSIGN_OR_RETURN(KeyPointer key, ParseKeyPem(key_pem.Reveal(), "authority's key"));
  if (X509_check_ca(certificates.front().get()) != 1) {
    return absl::FailedPreconditionError("the certificate is not an authority's");
  }
  if (X509_check_private_key(certificates.front().get(), key.get()) != 1) {
    OpensslError();
    return absl::FailedPreconditionError("the authority's key does not fit its certificate");
  }
  return std::unique_ptr<CertificateAuthority>(
      new CertificateAuthority(std::move(certificates.front()), std::move(key)));
}

absl::StatusOr<std::unique_ptr<CertificateAuthority>> CertificateAuthority::Load(
    const AuthorityFiles& files) {
  ASSIGN_OR_RETURN(const std::string certificate, ReadWholeFile(files.certificate, 64 * 1024));
  ASSIGN_OR_RETURN(const Secret key, ReadSecretFile(files.key, 64 * 1024));
  absl::StatusOr<std::unique_ptr<CertificateAuthority>> authority = FromPem(certificate, key);
  if (authority.ok()) return authority;
  return absl::Status(authority.status().code(), absl::StrCat(files.certificate, ", ", files.key,
                                                              ": ", authority.status().message()));
}

absl::Status CertificateAuthority::Save(const AuthorityFiles& files) const {
  for (const std::string* path : {&files.certificate, &files.key}) {
    struct stat status {};
    if (lstat(path->c_str(), &status) == 0) {
      return absl::AlreadyExistsError(absl::StrCat(*path,
                                                   ": is there already; move it away first "
                                                   "if it is not wanted any more"));
    }
  }
  const BioPointer bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return Failed("key");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  RETURN_IF_ERROR(WriteFileAtomically(files.key, absl::string_view(data, size_t(size)), 0600));
  return WriteFileAtomically(files.certificate, certificate_pem_, 0644);
}

absl::StatusOr<std::string> CertificateAuthority::Issue(absl::string_view request_pem,
                                                        const CertificateTerms& terms,
                                                        absl::Time now) const {
  RETURN_IF_ERROR(CheckTerms(terms));
  ASSIGN_OR_RETURN(const X509ReqPointer request, ParseCertificateRequestPem(request_pem));
  RETURN_IF_ERROR(CheckCertificateTime(*certificate_, now, "the authority's certificate"));
  const X509Pointer certificate(X509_new());
  if (certificate == nullptr) return Failed("memory");
  X509& cert = *certificate;
  const absl::Time not_before =
      std::max(now - kCertificateClockSlack, CertificateNotBefore(*certificate_));
  const absl::Time not_after = std::min(now + terms.lifetime, CertificateNotAfter(*certificate_));
  const bool ok =
      X509_set_version(&cert, X509_VERSION_3) == 1 && SetSerial(cert) &&
      SetTime(X509_getm_notBefore(&cert), not_before) &&
      SetTime(X509_getm_notAfter(&cert), not_after) &&
      AddNameEntry(X509_get_subject_name(&cert), "CN", PeerLabel(terms.peer).substr(0, 64)) &&
      X509_set_issuer_name(&cert, X509_get_subject_name(certificate_.get())) == 1 &&
      X509_set_pubkey(&cert, X509_REQ_get0_pubkey(request.get())) == 1 &&
      AddExtension(cert, certificate_.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      AddExtension(cert, certificate_.get(), NID_key_usage, "critical,digitalSignature") &&
      AddExtension(cert, certificate_.get(), NID_ext_key_usage, ExtendedUse(terms.peer.identity)) &&
      AddExtension(cert, certificate_.get(), NID_subject_key_identifier, "hash") &&
      AddExtension(cert, certificate_.get(), NID_authority_key_identifier, "keyid:always");
  if (!ok) return Failed("fields");
  RETURN_IF_ERROR(AddAlternativeNames(cert, terms));
  const EVP_MD* digest =
      EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  if (X509_sign(&cert, key_.get(), digest) <= 0) return Failed("signature");
  return CertificatePem(cert);
}

}  // namespace werkplek
