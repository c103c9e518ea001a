#include "common/pki/key_request.h"

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace werkplek {
namespace {

constexpr size_t kMaxRequestBytes = 16 * 1024;

std::string BioText(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, size_t(size));
}

absl::Status CheckKeyStrength(const EVP_PKEY& key) {
  const int bits = EVP_PKEY_get_bits(&key);
  char group[64] = "";
  switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_ED25519:
      return absl::OkStatus();
    case EVP_PKEY_RSA:
      if (bits >= 2048 && bits <= 8192) return absl::OkStatus();
      break;
    case EVP_PKEY_EC:
      EVP_PKEY_get_group_name(&key, group, sizeof(group), nullptr);
      if (absl::string_view(group) == "prime256v1" || absl::string_view(group) == "secp384r1") {
        return absl::OkStatus();
      }
      break;
    default:
      break;
  }
  OpensslError();
  return absl::InvalidArgumentError(
      absl::StrCat("certificate request: its key (", bits, " bits ", group,
                   ") is not accepted; use EC P-256 or P-384, Ed25519, or RSA of 2048 to 8192 "
                   "bits"));
}

}  // namespace

absl::StatusOr<Secret> NewPrivateKeyPem() {
  const KeyPointer key(EVP_EC_gen("P-256"));
  if (key == nullptr) return absl::InternalError(absl::StrCat("no new key: ", OpensslError()));
  const BioPointer bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return absl::InternalError(absl::StrCat("the new key cannot be written: ", OpensslError()));
  }
  return Secret(BioText(bio.get()));
}

absl::StatusOr<std::string> NewCertificateRequestPem(const Secret& key_pem) {
  ASSIGN_OR_RETURN(const KeyPointer key, ParseKeyPem(key_pem.Reveal(), "key"));
  const X509ReqPointer request(X509_REQ_new());
  const BioPointer bio(BIO_new(BIO_s_mem()));
  // Ed25519 brings its own digest.
  const EVP_MD* digest =
      EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
  if (X509_REQ_set_pubkey(request.get(), key.get()) != 1 ||
      X509_REQ_sign(request.get(), key.get(), digest) <= 0 ||
      PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return absl::InternalError(absl::StrCat("no certificate request: ", OpensslError()));
  }
  return BioText(bio.get());
}

absl::StatusOr<X509ReqPointer> ParseCertificateRequestPem(absl::string_view pem) {
  if (pem.size() > kMaxRequestBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("certificate request: larger than ", kMaxRequestBytes, " bytes"));
  }
  const BioPointer bio = MemoryBio(pem);
  X509ReqPointer request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  const std::string detail = OpensslError();
  if (request == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("certificate request: not a PKCS#10 in PEM (", detail, ")"));
  }
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) {
    OpensslError();
    return absl::InvalidArgumentError("certificate request: its key cannot be read");
  }
  RETURN_IF_ERROR(CheckKeyStrength(*key));
  if (X509_REQ_verify(request.get(), key) != 1) {
    OpensslError();
    return absl::InvalidArgumentError(
        "certificate request: not signed with its own key; the sender does not prove to have it");
  }
  return request;
}

std::string RequestKeySha256(const X509_REQ& request) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(const_cast<X509_REQ*>(&request)), &der);
  if (size <= 0) return "";
  std::string digest = Sha256(absl::string_view(reinterpret_cast<const char*>(der), size_t(size)));
  OPENSSL_free(der);
  return digest;
}

}  // namespace werkplek
