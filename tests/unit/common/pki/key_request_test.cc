#include "common/pki/key_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <string>

namespace werkplek {
namespace {

using testing::HasSubstr;

std::string RequestFor(EVP_PKEY* raw) {
  const KeyPointer key(raw);
  const X509ReqPointer request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), key.get());
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size_t(size));
}

TEST(KeyRequestTest, AFreshRequestIsGoodAndEachKeyIsItsOwn) {
  const auto key = NewPrivateKeyPem();
  ASSERT_TRUE(key.ok());
  const auto request = ParseCertificateRequestPem(*NewCertificateRequestPem(*key));
  ASSERT_TRUE(request.ok()) << request.status();
  const auto again = ParseCertificateRequestPem(*NewCertificateRequestPem(*key));
  EXPECT_EQ(RequestKeySha256(**request), RequestKeySha256(**again));
  EXPECT_EQ(RequestKeySha256(**request).size(), 32u);
  const auto other = ParseCertificateRequestPem(*NewCertificateRequestPem(*NewPrivateKeyPem()));
  EXPECT_NE(RequestKeySha256(**request), RequestKeySha256(**other));
}

TEST(KeyRequestTest, WeakKeysAreRefused) {
  EXPECT_TRUE(ParseCertificateRequestPem(RequestFor(EVP_RSA_gen(2048))).ok());
  EXPECT_TRUE(ParseCertificateRequestPem(RequestFor(EVP_EC_gen("P-384"))).ok());
  for (const std::string& weak : {RequestFor(EVP_RSA_gen(1024)), RequestFor(EVP_EC_gen("P-224")),
                                  RequestFor(EVP_EC_gen("secp256k1"))}) {
    EXPECT_THAT(std::string(ParseCertificateRequestPem(weak).status().message()),
                HasSubstr("is not accepted"));
  }
}

TEST(KeyRequestTest, NonsenseIsRefused) {
  for (const std::string& bad :
       {std::string(), std::string("x"), std::string(65536, 'x'),
        std::string(
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")}) {
    EXPECT_EQ(ParseCertificateRequestPem(bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

// The signature proves that the sender has the key.
TEST(KeyRequestTest, ARequestForSomebodyElsesKeyIsRefused) {
  const KeyPointer mine(EVP_EC_gen("P-256"));
  const KeyPointer theirs(EVP_EC_gen("P-256"));
  const X509ReqPointer request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), theirs.get());
  X509_REQ_sign(request.get(), mine.get(), EVP_sha256());
  const BioPointer bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  EXPECT_THAT(
      std::string(ParseCertificateRequestPem(std::string(data, size_t(size))).status().message()),
      HasSubstr("not signed with its own key"));
}

}  // namespace
}  // namespace werkplek
